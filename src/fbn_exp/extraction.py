"""Text → signals → networks, as one call: the core of every stage that needs networks."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import fbn_exp
from fbn_exp.activations import Signals, recorded
from fbn_exp.config.options import SignalsConfig
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.layout import NeuronLayout
from fbn_exp.methods.base import Decomposition
from fbn_exp.methods.per_block import PerBlock
from fbn_exp.models import LanguageModel
from fbn_exp.networks import FunctionalNetworks
from fbn_exp.reliability.base import NoReliability, Reliability
from fbn_exp.reliability.icasso import Centrotypes
from fbn_exp.thresholds import Threshold, ZThreshold

log = logging.getLogger(__name__)

# the threshold is there only where reliability uses it
DETERMINING = ("signals", "method", "reliability", "threshold")


@dataclass(frozen=True)
class Recipe:
    """How networks come about from a loaded model.

    Attributes
    ----------
    dataset : TextDataset
        The texts.
    layout : NeuronLayout
        The neurons.
    signals : SignalsConfig
        How activations become signals.
    method : Decomposition
        What finds networks in them.
    config : mapping
        The same in plain json, for provenance and cache keys.
    reliability : Reliability
        What stands between the method and the networks.
    threshold : Threshold
        Which neurons are members, where reliability asks how far masks agree.
    """

    dataset: TextDataset
    layout: NeuronLayout
    signals: SignalsConfig
    method: Decomposition
    config: Mapping[str, Any]
    reliability: Reliability = field(default_factory=NoReliability)
    threshold: Threshold = field(default_factory=ZThreshold)

    def decomposition(self) -> Decomposition:
        """The method as it is applied to this layout: to the whole model, or block by block."""
        return PerBlock(self.method, self.layout) if self.method.per_block else self.method

    def texts(self, lm: LanguageModel) -> Texts:
        """The sample of texts that this model reads."""
        texts = self.dataset.sample(lm.tokenizer)
        source = self.dataset.describe()
        log.info("%d texts, %s tokens from %s", len(texts), f"{texts.n_tokens:,}", source)
        return texts

    def key(self, lm: LanguageModel, texts: Texts) -> dict[str, Any]:
        """Everything that determines the networks, as plain json."""
        return {
            "weights": lm.weight_digest,
            "dtype": lm.dtype,
            "layout": self.layout.to_dict(),
            "texts": texts.digest,
            **{name: self.config[name] for name in DETERMINING if name in self.config},
            "version": fbn_exp.__version__,
        }


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


@contextmanager
def extracted(recipe: Recipe, lm: LanguageModel, texts: Texts, scratch: Path) -> Iterator[Extraction]:
    """Record all texts and decompose their signals.

    Raises
    ------
    SignalError, MethodError
        If the activations or the signals cannot be used.
    """
    with recorded(lm, texts, recipe.layout, recipe.signals, scratch) as signals:
        started = time.perf_counter()
        text_of_row, _ = signals.token_of_row()
        method = recipe.reliability.around(recipe.decomposition(), recipe.threshold)
        method.fit(signals.values, torch.from_numpy(text_of_row))
        seconds = time.perf_counter() - started
        yield Extraction(_networks(recipe, lm, signals, method), signals, seconds, method)


def _networks(
    recipe: Recipe, lm: LanguageModel, signals: Signals, method: Decomposition
) -> FunctionalNetworks:
    provenance = {
        "model": lm.name,
        "revision": lm.revision,
        "weight_digest": lm.weight_digest,
        "dtype": lm.dtype,
        "texts": recipe.dataset.describe(),
        "texts_digest": signals.texts.digest,
        "text_digests": sorted(signals.texts.text_digests),
        "config": dict(recipe.config),
        "metrics": method.metrics_,
        "version": fbn_exp.__version__,
    }
    neurons = {
        "mean": signals.neurons.mean.float(),
        "standard_deviation": signals.neurons.standard_deviation.float(),
        "mean_absolute": signals.neurons.mean_absolute.float(),
    }
    statistics = {"explained_variance_ratio": method.explained_variance_ratio_.tolist()}
    if isinstance(method, Centrotypes):
        statistics |= {name: values.tolist() for name, values in method.report_.statistics.items()}
    blocks = method.block_of_network_ if isinstance(method, PerBlock) else None
    return FunctionalNetworks(method.maps_, signals.layout, statistics, neurons, provenance, blocks)
