"""Interface of analyses: measures of networks, of a model without interventions."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.methods.base import Decomposition
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.signals.base import Signals
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded
from fbn_exp.thresholds.base import Threshold


@dataclass(frozen=True, eq=False)
class Recording:
    """Model and settings with which an analysis records signals.

    Attributes
    ----------
    lm : LanguageModel
        Model, without interventions.
    layout : NeuronLayout
        Layout of the neurons of the networks.
    signals : SignalsConfig
        Preprocessing that turns activations into signals, the same as when the networks were extracted.
    method : Decomposition
        Method with which an analysis extracts networks from other texts.
    scratch : Path
        Folder for signals beyond the memory budget.
    cache : Path
        Folder of what later runs can use again.
    load_other : callable, optional
        Loads the model of other networks, by its name, or by None for the model that they name.
    """

    lm: LanguageModel
    layout: NeuronLayout
    signals: SignalsConfig
    method: Decomposition
    scratch: Path
    cache: Path
    load_other: Callable[[FunctionalNetworks, str | None], LanguageModel] | None = None

    def recorded(self, texts: Texts) -> AbstractContextManager[Signals]:
        """Signals of texts, while the context is open."""
        return recorded(self.lm, texts, self.layout, self.signals, self.scratch)


class Analysis(ABC):
    """Measure networks of a model without interventions.

    Attributes
    ----------
    records : bool
        True if the analysis runs the model; if not, networks from a folder need no model at all.
    families : tuple of str
        First parts of the names of its metrics, up to the first slash; empty if they are unknown.
    """

    records: ClassVar[bool] = True
    families: ClassVar[tuple[str, ...]] = ()

    def prepare(self, lm: LanguageModel) -> None:  # noqa: B027 - nothing to prepare is a case
        """Load and tokenise what is needed."""

    def text_digests(self) -> frozenset[str]:
        """Digests of the texts that are recorded, after ``prepare``; networks must not come from them."""
        return frozenset()

    @abstractmethod
    def measure(self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None) -> Any:
        """Measure networks.

        Parameters
        ----------
        networks : FunctionalNetworks
            Networks to measure.
        threshold : Threshold
            Rule of membership.
        recording : Recording or None
            Model and settings; None where the analysis does not record.

        Returns
        -------
        dataclass
            Findings of a type that ``fbn_exp.report.presentation.present`` knows.
        """


class TextAnalysis(Analysis):
    """Measure networks in signals of the texts of a dataset."""

    dataset: TextDataset
    texts: Texts

    @override
    def prepare(self, lm: LanguageModel) -> None:
        self.texts = self.dataset.sample(lm.tokenizer)

    @override
    def text_digests(self) -> frozenset[str]:
        return self.texts.text_digests
