"""Model, networks, and all that is known about them."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from torch import Tensor

from fbn_exp.analysis.keystones.scan import known_scans
from fbn_exp.benchmarks.lesions import known_lesions, lesion_folder, networks_digest
from fbn_exp.core.errors import NetworksError
from fbn_exp.explorer.reading import Reader, Reading
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.html.keystones import keystone_labels
from fbn_exp.report.html.page import content_of
from fbn_exp.thresholds.base import Threshold

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Workbench:
    """What the page works with; one call of the model at a time.

    Attributes
    ----------
    lm : LanguageModel
        The model.
    networks : FunctionalNetworks
        Its networks.
    threshold : Threshold
        Rule of membership.
    folder : Path
        Folder of the networks; a ``report.html`` beside it tells their drivers.
    cache : Path
        Folder of lesions and keystones that are known.
    arguments : tuple of str
        Arguments of ``evaluate.py`` that load the same model and choose the same members.
    same_weights : bool
        Whether the model must have the weights that the networks come from.
    busy : RLock
        Held while the model runs.
    """

    lm: LanguageModel
    networks: FunctionalNetworks
    threshold: Threshold
    folder: Path
    cache: Path
    arguments: tuple[str, ...] = ()
    same_weights: bool = True
    busy: Any = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self.networks.require_layout(self.lm.layout(self.networks.layout.site), self.lm.name)
        if self.same_weights:
            self.networks.require_weights(self.lm.weight_digest, self.lm.name)
        self.lm.require_language_head("the explorer")

    def read(self, text: str) -> Reading:
        """Read a text; see :class:`Reader`."""
        with self.busy:
            return self.reader.read(text)

    @cached_property
    def reader(self) -> Reader:
        """Reader of texts."""
        return Reader(self.lm, self.networks)

    @cached_property
    def masks(self) -> Tensor:
        """Members of each network, bool of shape (K, N)."""
        return self.networks.masks(self.threshold)

    @cached_property
    def scores(self) -> Tensor:
        """Standardised weights, float64 of shape (K, N)."""
        return self.networks.z_scores()

    @cached_property
    def report(self) -> dict[str, Any] | None:
        """Content of the report beside the networks, None if there is none of these very networks."""
        file = self.folder.resolve().parent / "report.html"
        if not file.is_file():
            return None
        try:
            content = content_of(file)
        except (NetworksError, OSError, ValueError) as error:
            log.warning("networks are shown without their drivers: %s", error)
            return None
        return content if content["digest"] == networks_digest(self.networks) else None

    def told(self, network: int) -> dict[str, Any]:
        """What the report tells about a network, empty without a report."""
        return {} if self.report is None else dict(self.report["networks"][network])

    def lesions(self, network: int) -> list[dict[str, Any]]:
        """Lesions of a network that are in the cache."""
        known = known_lesions(lesion_folder(self.networks, self.cache))
        return [record for record in known if record["network"] == network]

    @cached_property
    def keystones(self) -> list[list[dict[str, Any]]] | None:
        """Keystones of each network; None if the model was never scanned."""
        return keystone_labels(known_scans(self.cache, self.lm, self.networks.layout), self.masks)

    def name(self, network: int) -> str:
        """Number of a network, with what drives it and where its members go then, if that is known."""
        told = self.told(network)
        if not told:
            return str(network)
        go = f": members go {told['go']}" if told["go"] else ""
        return f"{network} · {told['label']}{go}"
