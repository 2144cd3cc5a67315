"""Load networks and their model, and serve the page."""

import importlib.util
import logging
import re
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError
from fbn_exp.models.config import ModelConfig

# settings that evaluate.py has, too
SHARED = re.compile(r"(model|threshold|same_weights)\b")

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> None:
    """Serve the page until it is interrupted, or write it as a Space.

    Parameters
    ----------
    cfg : DictConfig
        An ``ExploreConfig``.

    Raises
    ------
    FbnError
        If a setting, the networks or the model cannot be used, or gradio is missing.
    """
    if importlib.util.find_spec("gradio") is None:
        raise ConfigError("the explorer needs gradio: pip install 'fbn_exp[explorer]'")
    from fbn_exp.explorer.model import model_of
    from fbn_exp.explorer.space import write_space
    from fbn_exp.explorer.workbench import Workbench
    from fbn_exp.models.load import load
    from fbn_exp.networks.artifact import FunctionalNetworks
    from fbn_exp.networks.sharing.pull import local_folder
    from fbn_exp.stages.build import built
    from fbn_exp.thresholds.base import Threshold

    folder, cache = local_folder(cfg.networks), Path(cfg.cache)
    threshold = built(cfg.threshold, Threshold)  # type: ignore[type-abstract]
    networks = FunctionalNetworks.load(folder)
    config = model_of(networks.provenance) if cfg.model is None else typed(cfg.model, ModelConfig)
    arguments = _arguments(cfg, networks.provenance)
    if cfg.space is not None:
        write_space(Path(cfg.space).expanduser(), folder, config, arguments)
        log.info("folder to upload as a Space: %s", cfg.space)
        return
    bench = Workbench(load(config, cache), networks, threshold, folder, cache, arguments, cfg.same_weights)
    from fbn_exp.explorer.page.server import serve  # late: gradio takes two seconds to import

    blocks, address = serve(bench, cfg.port, cfg.open_browser)
    log.info("explorer: %s (Ctrl-C ends it)", address)
    blocks.block_thread()


def _arguments(cfg: DictConfig, provenance: dict[str, Any]) -> tuple[str, ...]:
    """Arguments of ``evaluate.py`` for the same model and members."""
    from fbn_exp.explorer.model import arguments_of

    given = [each for each in HydraConfig.get().overrides.task if SHARED.match(each)]
    return (*([] if cfg.model is not None else arguments_of(provenance)), *given)
