"""Neurons of largest energy, and the tokens at which they fire."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.analysis.keystones.zeroing import Zeroing, zeroed
from fbn_exp.analysis.tokens import token_features
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.core.moments import row_chunks
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.models.hooks import visited
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

# kinds of tokens, which exclude each other: a first token is nothing else
FIRST = "first token"
KINDS = (FIRST, "white space", "punctuation")
MANY = "many tokens"
OTHERS = "other tokens"
# a neuron fires at a kind of token that holds this share of its energy
MOST = 0.5
STRONGEST = 5


@dataclass(frozen=True)
class FiringToken:
    """One of a neuron's strongest tokens: text, position, what it reads, and the activation there."""

    text: int
    position: int
    token: str
    activation: float


@dataclass(frozen=True)
class Neuron:
    """Energy of a neuron, and where it is.

    Attributes
    ----------
    column : int
        Column in the layout.
    energy : float
        Mean square of its activation over all tokens, first tokens among them.
    shares : dict of str to float
        Share of that energy at each of ``KINDS``.
    strongest : tuple of FiringToken
        Tokens of largest magnitude, in descending order.
    """

    column: int
    energy: float
    shares: dict[str, float]
    strongest: tuple[FiringToken, ...]

    @property
    def fires_at(self) -> str:
        """Kind of token that holds most of its energy, or ``many tokens``."""
        kind = max(self.shares, key=self.shares.__getitem__)
        return kind if self.shares[kind] >= MOST else MANY

    def to_dict(self) -> dict[str, Any]:
        """Convert to a plain structure for JSON."""
        return asdict(self) | {"strongest": [asdict(token) for token in self.strongest]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Neuron":
        """Rebuild a neuron from the result of ``to_dict``."""
        strongest = tuple(FiringToken(**token) for token in plain["strongest"])
        return cls(int(plain["column"]), float(plain["energy"]), dict(plain["shares"]), strongest)


@dataclass(frozen=True)
class Energies:
    """Neurons of largest energy of a layout, over all tokens of some texts.

    Attributes
    ----------
    neurons : tuple of Neuron
        In descending order of energy.
    total : float
        Sum of the energies of all neurons of the layout.
    token_shares : dict of str to float
        Share of the tokens that are of each of ``KINDS``.
    """

    neurons: tuple[Neuron, ...]
    total: float
    token_shares: dict[str, float]


def largest_energies(
    lm: LanguageModel, layout: NeuronLayout, texts: Texts, count: int, batch_tokens: int, scratch: Path
) -> Energies:
    """Run the texts once, and describe the neurons of largest energy."""
    # raw activations of all tokens, whatever the networks were extracted from
    config = SignalsConfig(batch_tokens=batch_tokens)
    with recorded(lm, texts, layout, config, scratch) as signals:
        energy = torch.zeros(layout.n_neurons, dtype=torch.float64)
        for chunk in row_chunks(signals.values):
            energy += chunk.square().sum(dim=0).double().cpu()
        energy /= len(signals.values)
        chosen = energy.argsort(descending=True, stable=True)[:count]
        values = signals.values[:, chosen.to(signals.values.device)].double().cpu().numpy()
        features = token_features(lm, signals)
        written = [
            features.pieces[text][place] for text, place in zip(features.text, features.position, strict=True)
        ]
    kinds = _kinds(features.numbers, written)
    places = list(zip(features.text.tolist(), features.position.tolist(), written, strict=True))
    neurons = tuple(
        Neuron(
            column,
            float(energy[column]),
            _shares(values[:, index], kinds),
            _strongest(values[:, index], places),
        )
        for index, column in enumerate(chosen.tolist())
    )
    shares = {kind: float(kinds[kind].mean()) for kind in KINDS}
    return Energies(neurons, float(energy.sum()), shares)


def _kinds(numbers: Mapping[str, Array], written: Sequence[str]) -> dict[str, Array]:
    """Indicator of each of ``KINDS`` for every token."""
    first = numbers["first_token"]
    blank = np.array([bool(piece) and not piece.strip() for piece in written])
    space = (1 - first) * np.maximum(numbers["newline"], blank)
    punctuation = (1 - first) * (1 - space) * numbers["punctuation"]
    return dict(zip(KINDS, (first, space, punctuation), strict=True))


def _shares(values: Array, kinds: Mapping[str, Array]) -> dict[str, float]:
    energy = np.square(values)
    total = max(float(energy.sum()), 1e-300)
    return {kind: float(energy @ indicator) / total for kind, indicator in kinds.items()}


def _strongest(values: Array, places: Sequence[tuple[int, int, str]]) -> tuple[FiringToken, ...]:
    order = np.argsort(-np.abs(values), kind="stable")[:STRONGEST]
    return tuple(
        FiringToken(text, position, token, float(values[row]))
        for row in order.tolist()
        for text, position, token in [places[row]]
    )


def energies_under(
    lm: LanguageModel,
    layout: NeuronLayout,
    ids: Sequence[Sequence[int]],
    neurons: Sequence[int],
    edits: Sequence[Zeroing],
    batch_tokens: int,
) -> Array:
    """Mean square of neurons over all tokens under each edit, shape (edits, neurons).

    Parameters
    ----------
    lm, layout, ids, edits, batch_tokens : object
        As in ``losses``.
    neurons : sequence of int
        Columns of the layout.
    """
    sums = np.zeros((len(edits), len(neurons)))
    columns = [(*layout.locate(neuron), place) for place, neuron in enumerate(neurons)]
    inner = NeuronLayout(
        layout.site,
        tuple(layout.blocks[index] for index in sorted({index for index, _, _ in columns})),
        layout.tokens_first,
    )
    batches = length_batches([len(text) for text in ids], batch_tokens)
    bar = tqdm(total=len(batches) * len(edits), desc="energies", unit=" pass", leave=False)
    with bar, torch.inference_mode():
        for batch in batches:
            padded, mask = (each.to(lm.device) for each in pad([ids[text] for text in batch], lm.pad_id))
            for row, edit in enumerate(edits):

                def add(block: Block, activations: Tensor, row: int = row, real: Tensor = mask) -> None:
                    flat = activations.reshape(-1, block.width)
                    flat = flat[real.to(flat.device).reshape(-1) > 0].double()
                    for index, within, place in columns:
                        if layout.blocks[index] == block:
                            sums[row, place] += float(flat[:, within].square().sum())

                # reads what the edit leaves, since its hooks come later
                with zeroed(lm, layout, [edit], len(batch)), visited(lm.model, inner, add):
                    lm.model.base_model(input_ids=padded, attention_mask=mask, use_cache=False)
                bar.update()
    return sums / sum(len(text) for text in ids)
