"""Text → signals → networks, as one call: the core of every stage that needs networks."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fbn_exp
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.methods.base import Decomposition
from fbn_exp.methods.per_block import PerBlock
from fbn_exp.models.load import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.signals.base import Signals
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

log = logging.getLogger(__name__)

# the threshold is there only where reliability uses it
DETERMINING = ("signals", "method", "reliability", "threshold")


@dataclass(frozen=True)
class Extractor:
    """Record texts, and fit a method to the signals.

    Attributes
    ----------
    site : Site
        Where neurons are read.
    dataset : TextDataset
        The texts.
    signals : SignalsConfig
        How activations become signals.
    method : Decomposition
        Finds networks in them.
    config : mapping
        The same in plain json, for provenance and cache keys.
    """

    site: Site
    dataset: TextDataset
    signals: SignalsConfig
    method: Decomposition
    config: Mapping[str, Any]

    def texts(self, lm: LanguageModel) -> Texts:
        """Sample the texts, as token ids of this model."""
        texts = self.dataset.sample(lm.tokenizer)
        source = self.dataset.describe()
        log.info("%d texts, %s tokens from %s", len(texts), f"{texts.n_tokens:,}", source)
        return texts

    def key(self, lm: LanguageModel, texts: Texts) -> dict[str, Any]:
        """Everything that determines the networks, as plain json."""
        return {
            "weights": lm.weight_digest,
            "dtype": lm.dtype,
            "layout": lm.layout(self.site).to_dict(),
            "texts": texts.digest,
            **{name: self.config[name] for name in DETERMINING if name in self.config},
            "version": fbn_exp.__version__,
        }

    @contextmanager
    def extracted(self, lm: LanguageModel, texts: Texts, scratch: Path) -> Iterator["Extraction"]:
        """Record all texts and decompose their signals.

        Parameters
        ----------
        lm : LanguageModel
            The model.
        texts : Texts
            As ``texts`` samples them.
        scratch : Path
            Folder for signals beyond the memory budget.

        Raises
        ------
        SignalError, MethodError
            If the activations or the signals cannot be used.
        """
        layout = lm.layout(self.site)
        method = PerBlock(self.method, layout) if self.method.per_block else self.method
        with recorded(lm, texts, layout, self.signals, scratch) as signals:
            started = time.perf_counter()
            method.fit(signals.values, signals.rows)
            seconds = time.perf_counter() - started
            yield Extraction(self._networks(lm, signals, method), signals, seconds, method)

    def _networks(self, lm: LanguageModel, signals: Signals, method: Decomposition) -> FunctionalNetworks:
        provenance = {
            "model": lm.name,
            "revision": lm.revision,
            "weight_digest": lm.weight_digest,
            "dtype": lm.dtype,
            "texts": self.dataset.describe(),
            "texts_digest": signals.texts.digest,
            "text_digests": sorted(signals.texts.text_digests),
            "config": dict(self.config),
            "metrics": method.metrics_,
            "version": fbn_exp.__version__,
        }
        neurons = {
            "mean": signals.neurons.mean.float(),
            "standard_deviation": signals.neurons.standard_deviation.float(),
            "mean_absolute": signals.neurons.mean_absolute.float(),
        }
        statistics = {
            "explained_variance_ratio": method.explained_variance_ratio_.tolist(),
            **{name: values.tolist() for name, values in method.statistics_.items()},
        }
        return FunctionalNetworks(
            method.maps_, signals.layout, statistics, neurons, provenance, method.block_of_network_
        )


@dataclass(frozen=True, eq=False)
class Extraction:
    """Networks and what they were found in; the signals are gone when the context closes.

    Attributes
    ----------
    networks : FunctionalNetworks
        What was found.
    signals : Signals
        Where.
    seconds : float
        How long it took to find them, recording not counted.
    method : Decomposition
        What found them.
    """

    networks: FunctionalNetworks
    signals: Signals
    seconds: float
    method: Decomposition
