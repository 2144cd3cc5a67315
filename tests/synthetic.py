"""Extractions without a model: texts whose tokens are words, and time courses that a test plants."""

from dataclasses import dataclass

import numpy as np
import torch

from fbn_exp.analysis.description import describe
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.moments import NeuronStatistics, RowNorms
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.methods.pca import PCA
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.extractor import Extraction
from fbn_exp.report.html.content import report_content
from fbn_exp.signals.base import Signals
from fbn_exp.thresholds.base import Threshold
from fbn_exp.thresholds.z import ZThreshold


class Words:
    """A tokenizer in all that is asked of it here: one token per word of a list, joined as they are."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def decode(self, ids, **_):
        return "".join(self.words[each] for each in ids)


@dataclass
class World:
    lm: LanguageModel
    signals: Signals

    def courses(self, *columns) -> torch.Tensor:
        """Planted columns as time courses: centred, unit variance."""
        values = np.stack([np.asarray(each, dtype=np.float64) for each in columns], axis=1)
        return torch.from_numpy((values - values.mean(axis=0)) / values.std(axis=0))


def world(texts: list[list[str]], excluded: int = 0, labels=None, layout=None, origins=None) -> World:
    """Signals of texts given word by word; the recorded activations themselves are 0."""
    words = sorted({word for text in texts for word in text})
    places = {word: place for place, word in enumerate(words)}
    origins = origins or [f"made.txt line {number}" for number in range(1, len(texts) + 1)]
    items = [
        TokenisedText(
            tuple(places[word] for word in text),
            Document("".join(text), origins[number], labels[number] if labels else None),
        )
        for number, text in enumerate(texts)
    ]
    layout = layout or NeuronLayout.of(Site.mlp_output, ["a", "b"], [6, 6])
    n_rows = sum(max(0, len(text) - excluded) for text in texts)
    ones = torch.ones(layout.n_neurons, dtype=torch.float64)
    signals = Signals(
        torch.zeros(n_rows, 1),
        layout,
        Texts(tuple(items)),
        excluded,
        NeuronStatistics(0 * ones, ones, ones, ones.clone()),
        RowNorms(0, 0, 0, 0),
        1,
    )
    model = torch.nn.Linear(1, 1)
    return World(LanguageModel(model, Words(words), ModelConfig(name="planted"), None), signals)


def lay_out(blocks: int, width: int) -> NeuronLayout:
    return NeuronLayout.of(Site.mlp_output, [f"layers.{index}" for index in range(blocks)], [width] * blocks)


def texts(n_texts: int = 12, length: int = 20, more: tuple[str, ...] = ()):
    rng = np.random.default_rng(0)
    words = [" the", " of", ",", " cat", "\n", *more]
    return [[words[each] for each in rng.integers(len(words), size=length)] for _ in range(n_texts)]


def networks_of(n_networks: int, layout: NeuronLayout, blocks: tuple[int, ...] | None = None):
    """Random networks, of the whole layout or inside the given blocks."""
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.normal(size=(n_networks, layout.n_neurons)) ** 3).float()
    for row, block in zip(maps, blocks or (), strict=bool(blocks)):
        inside = layout.blocks[block].columns
        row[: inside.start] = row[inside.stop :] = 0
    statistics = {
        "explained_variance_ratio": (0.5 / np.arange(1, n_networks + 1)).tolist(),
        "iq": rng.uniform(size=n_networks).tolist(),
    }
    provenance = {"model": "planted & <b>bold</b>", "texts": "made up", "version": "0", "weight_digest": "1"}
    return FunctionalNetworks(maps, layout, statistics, {}, provenance, blocks)


def described(
    n_networks: int,
    texts: list[list[str]],
    layout: NeuronLayout,
    blocks=None,
    z: float = 2.5,
    threshold: Threshold | None = None,
):
    """Random networks with random time courses over the given texts; members by z or another threshold."""
    made = world(texts, layout=layout)
    n_rows = len(made.signals.values)
    courses = made.courses(*np.random.default_rng(1).laplace(size=(n_networks, n_rows)))
    networks = networks_of(n_networks, layout, blocks)
    method = PCA(n_networks)
    method.time_courses_, method.explained_variance_ = courses, 0.5
    extraction = Extraction(networks, made.signals, 1.0, method)
    return describe(made.lm, extraction, threshold or ZThreshold(z), n_tokens=10, context=8)


def content(
    n_networks: int,
    texts,
    layout,
    max_networks: int = 32,
    lesions=(),
    blocks=None,
    threshold=None,
    keystones=None,
):
    """Content of a report on them."""
    found = described(n_networks, texts, layout, blocks, threshold=threshold)
    remarks = ["a remark with <i>markup</i>"]
    return report_content(found, remarks, list(lesions), max_networks, context=8, keystones=keystones)
