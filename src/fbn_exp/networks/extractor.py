"""Extract networks from texts: sample, record, fit. Every stage that needs networks calls it."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fbn_exp.core.layout import Site
from fbn_exp.core.moments import StatisticsByToken
from fbn_exp.core.package_file import version
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.methods.base import Decomposition
from fbn_exp.methods.per_block import PerBlock
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import TOKENS, neuron_tensors, token_counts
from fbn_exp.signals.base import Signals
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

log = logging.getLogger(__name__)

# settings that determine the networks; the threshold is one of them only where reliability uses it
DETERMINING = ("signals", "method", "reliability", "threshold")
# what is kept of each neuron; networks of earlier versions in the cache have less
STATISTICS = "first tokens apart"
# what makes a sign; networks of earlier versions in the cache can have the other one
SIGN = "skewness"


@dataclass(frozen=True)
class Extractor:
    """Record texts, and fit a method to the signals.

    Attributes
    ----------
    site : Site
        Place in each block where neurons are read.
    dataset : TextDataset
        The texts.
    signals : SignalsConfig
        Preprocessing that turns activations into signals.
    method : Decomposition
        Extracts networks from the signals.
    config : mapping
        These settings in plain json, for provenance and cache keys.
    """

    site: Site
    dataset: TextDataset
    signals: SignalsConfig
    method: Decomposition
    config: Mapping[str, Any]

    def texts(self, lm: LanguageModel) -> Texts:
        """Sample the texts that the method takes and tokenise them for this model."""
        texts = self.dataset.sample(lm.tokenizer, self.method.compared_labels)
        log.info("%d texts, %s tokens from %s", len(texts), f"{texts.n_tokens:,}", texts.source)
        return texts

    def key(self, lm: LanguageModel, texts: Texts) -> dict[str, Any]:
        """Cache key: all that determines the networks, as plain json."""
        labels = [document.label for document in texts.documents] if self.method.compared_labels else []
        return {
            "weights": lm.weight_digest,
            "dtype": lm.dtype,
            "layout": lm.layout(self.site).to_dict(),
            "texts": texts.digest,
            **{name: self.config[name] for name in DETERMINING if name in self.config},
            "version": version(),
            "neurons": STATISTICS,
            "sign": SIGN,
            **({"labels": labels} if labels else {}),
        }

    @contextmanager
    def extracted(self, lm: LanguageModel, texts: Texts, scratch: Path) -> Iterator["Extraction"]:
        """Record all texts and decompose their signals.

        Parameters
        ----------
        lm : LanguageModel
            The model.
        texts : Texts
            Result of ``texts``.
        scratch : Path
            Folder for signals beyond the memory budget.

        Raises
        ------
        SignalError, MethodError
            If the activations or the signals cannot be used.
        """
        with recorded(lm, texts, lm.layout(self.site), self.signals, scratch) as signals:
            started = time.perf_counter()
            method = fitted(self.method, signals)
            seconds = time.perf_counter() - started
            networks = networks_of(method, signals, self.config)
            yield Extraction(networks, signals, seconds, method)


def fitted(method: Decomposition, signals: Signals) -> Decomposition:
    """Fit a method to signals, over all neurons or block by block, and return the fitted decomposition."""
    whole = PerBlock(method, signals.layout) if method.per_block else method.over(signals.layout)
    return whole.fit(signals.values, signals.rows)


def networks_of(
    method: Decomposition, signals: Signals, config: Mapping[str, Any], keep_time_courses: bool = False
) -> FunctionalNetworks:
    """Build networks from a fitted method.

    Parameters
    ----------
    method : Decomposition
        Decomposition, fitted.
    signals : Signals
        Signals that it was fitted to; the networks keep their texts, layout and neuron statistics.
    config : mapping
        Settings in plain json, for provenance.
    keep_time_courses : bool
        True to keep the time courses with the networks.
    """
    by_token = signals.statistics or StatisticsByToken(None, signals.neurons)
    provenance = {
        **signals.model,
        "texts": signals.texts.source,
        "texts_digest": signals.texts.digest,
        "text_digests": sorted(signals.texts.text_digests),
        "config": dict(config),
        "metrics": method.metrics_,
        TOKENS: token_counts(by_token),
        "version": version(),
    }
    statistics = {
        "explained_variance_ratio": method.explained_variance_ratio_.tolist(),
        **{name: values.tolist() for name, values in method.statistics_.items()},
    }
    return FunctionalNetworks(
        method.maps_,
        signals.layout,
        statistics,
        neuron_tensors(by_token),
        provenance,
        method.block_of_network_,
        method.time_courses_ if keep_time_courses else None,
        method.names_,
    )


@dataclass(frozen=True, eq=False)
class Extraction:
    """Networks with the signals they were extracted from; the signals are deleted when the context closes.

    Attributes
    ----------
    networks : FunctionalNetworks
        Extracted networks.
    signals : Signals
        Signals of all texts.
    seconds : float
        Duration of the fit, without recording.
    method : Decomposition
        Fitted method.
    """

    networks: FunctionalNetworks
    signals: Signals
    seconds: float
    method: Decomposition
