"""Objects from configs: everything that can be wrong with a setting is wrong here, before a model loads."""

import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError, FbnError
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import TextDataset
from fbn_exp.methods.base import Decomposition
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.cache import obtain_networks
from fbn_exp.networks.extractor import Extractor
from fbn_exp.reliability.base import Reliability
from fbn_exp.report.config import FiguresConfig
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.thresholds.base import Threshold
from fbn_exp.tracking.base import Tracker

T = TypeVar("T")


def built(config: DictConfig, kind: type[T]) -> T:
    """Instantiate the class that a config names.

    Raises
    ------
    FbnError
        Error of the class's constructor, without Hydra's wrapping.
    ConfigError
        If the class cannot be imported, is of another kind, or its constructor fails otherwise.
    """
    try:
        made = instantiate(config, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, FbnError):
            raise error.__cause__ from None
        raise ConfigError(_failure(error)) from error
    if not isinstance(made, kind):
        raise ConfigError(
            f"{config._get_full_key(None)}._target_ is {config._target_}, which is no "
            f"{kind.__module__}.{kind.__qualname__}: derive it from that"
        )
    return made


def _failure(error: InstantiationException) -> str:
    """Describe why a class of a config failed: error, file, line, and the folders searched for modules."""
    words, cause = str(error), error.__cause__
    target, key = re.search(r"target '(.*?)'", words), re.search(r"^full_key: (.+)", words, re.M)
    if target is None or cause is None:
        return words
    name = f"{key[1] + '.' if key else ''}_target_ is {target[1]}"
    if not words.startswith("Error locating"):
        return f"{name}: {_told(cause)}"
    installed = tuple({sys.prefix, sys.base_prefix})
    folders = ", ".join(each or "." for each in sys.path if not each.startswith(installed))
    return (
        f"{name}: {_told(cause.__cause__ or cause)}; modules are looked for among the installed packages and "
        f"in {folders}: PYTHONPATH=FOLDER adds the folder of yours"
    )


def _told(cause: BaseException) -> str:
    """Describe an error with its file and line, the last ones outside installed packages."""
    what = f"{type(cause).__name__}: {cause}"
    if isinstance(cause, SyntaxError):
        return f"{cause.filename}, line {cause.lineno}: {type(cause).__name__}: {cause.msg}"
    if isinstance(cause, ModuleNotFoundError):
        module, _, name = str(cause.name).rpartition(".")
        if module in sys.modules:
            return f"{sys.modules[module].__file__} has no {name}"
    installed = ("<", sys.prefix, sys.base_prefix, __file__)
    for frame in reversed(traceback.extract_tb(cause.__traceback__)):
        if not frame.filename.startswith(installed):
            return f"{frame.filename}, line {frame.lineno}: {what}"
    return what


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolve a config into plain containers, for trackers and provenance."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


@dataclass(frozen=True)
class Parts:
    """Checked objects that every stage needs to obtain networks."""

    site: Site
    cache: Path
    model: ModelConfig
    dataset: TextDataset
    signals: SignalsConfig
    method: Decomposition
    threshold: Threshold
    tracker: Tracker
    figures: FiguresConfig
    reliability: Reliability
    config: dict[str, Any]

    def extractor(self) -> Extractor:
        """Extractor of networks from text, by the method and its reliability analysis."""
        method = self.reliability.wrap(self.method, self.threshold)
        return Extractor(self.site, self.dataset, self.signals, method, self.config)

    def networks(
        self, folder: str | None, lm: LanguageModel, scratch: Path, same_weights: bool
    ) -> FunctionalNetworks:
        """Load the networks of ``folder``, or obtain those of the config; see ``obtain_networks``."""
        return obtain_networks(
            folder, self.extractor(), lm, self.cache, self.threshold, scratch, same_weights
        )


def extraction_parts(cfg: DictConfig) -> Parts:
    """Build the objects of the config groups that determine the networks.

    Raises
    ------
    FbnError
        If any setting is out of range or contradicts another one; nothing has been loaded by then.
    """
    # also checks that settings do not contradict each other
    typed(cfg, object)
    signals = typed(cfg.signals, SignalsConfig)
    reliability = built(cfg.reliability, Reliability)  # type: ignore[type-abstract]
    named = plain(cfg)
    determining = ["seed", "site", "dataset", "signals", "method", "reliability"]
    if reliability.uses_threshold:
        determining.append("threshold")
    return Parts(
        site=cfg.site,
        cache=Path(cfg.cache),
        model=typed(cfg.model, ModelConfig),
        dataset=built(cfg.dataset, TextDataset),  # type: ignore[type-abstract]
        signals=signals,
        method=built(cfg.method, Decomposition),  # type: ignore[type-abstract]
        threshold=built(cfg.threshold, Threshold),  # type: ignore[type-abstract]
        tracker=built(cfg.tracking, Tracker),  # type: ignore[type-abstract]
        figures=typed(cfg.figures, FiguresConfig),
        reliability=reliability,
        config={name: named[name] for name in determining},
    )
