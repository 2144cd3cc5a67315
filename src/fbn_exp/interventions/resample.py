"""Resampling: neurons take the values that they have at a token of another text."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.edit import Edit, require_shape
from fbn_exp.interventions.place import changed_at
from fbn_exp.models.positions import Tokens, require_tokens

# donors are drawn for so many positions, and repeat beyond
POSITIONS = 4096


@dataclass(frozen=True, eq=False)
class Donors:
    """Activations of the untouched model at tokens of other texts, one row per token.

    Attributes
    ----------
    first : Tensor of shape (D₁, N), float32
        At first tokens of texts.
    others : Tensor of shape (D₂, N), float32
        At other tokens.
    seed : int
        Seed of the choice of a donor for each position.

    Raises
    ------
    LayoutError
        If there is no row of one kind, or the two are of different neurons.
    """

    first: Tensor
    others: Tensor
    seed: int = 0

    def __post_init__(self) -> None:
        shapes = tuple(self.first.shape), tuple(self.others.shape)
        if not all(len(shape) == 2 and shape[0] for shape in shapes) or shapes[0][1] != shapes[1][1]:
            raise LayoutError(
                f"donors have shapes {shapes[0]} at first tokens and {shapes[1]} at others: each needs at "
                "least one row, and both the same neurons"
            )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all rows and the seed."""
        digest = hashlib.sha256(f"{self.seed} {len(self.first)}".encode())
        for rows in (self.first, self.others):
            digest.update(rows.contiguous().numpy().data)
        return digest.hexdigest()

    @cached_property
    def chosen(self) -> Tensor:
        """Row of ``others`` that each position takes, int64 of shape (POSITIONS,)."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(len(self.others), (POSITIONS,), generator=generator)

    @cached_property
    def chosen_first(self) -> int:
        """Row of ``first`` that first tokens take."""
        generator = torch.Generator().manual_seed(self.seed)
        return int(torch.randint(len(self.first), (1,), generator=generator))


@dataclass(frozen=True, eq=False)
class ResampleEdit(Edit):
    """Mix of a neuron's activation x with its value d at a token of another text: f · x + (1 − f) · d.

    At each token all neurons take their values from one donor, so that values occur together that do. First
    tokens have first tokens as donors, others others. The donor depends on the position in the text alone,
    so that the same text gets the same values in any batch, and with a cache.

    Attributes
    ----------
    factor : Tensor of shape (N,), float32
        Share f of the neuron's own activation; 1 changes nothing.
    donors : Donors
        Values of other texts.
    place : Place
        Tokens at which neurons are changed.
    """

    factor: Tensor
    donors: Donors
    place: Place = Place.all

    @property
    @override
    def touched(self) -> Tensor:
        return self.factor != 1

    @property
    @override
    def by_position(self) -> bool:
        return bool(self.touched.any())

    @property
    @override
    def unfoldable(self) -> str:
        return "resampled values differ from token to token, and weights are the same for all tokens"

    @property
    @override
    def digest(self) -> str:
        digest = hashlib.sha256(f"resample {self.place.value} {self.donors.digest}".encode())
        digest.update((self.factor.float() + 0.0).numpy().tobytes())
        return digest.hexdigest()

    @override
    def require_layout(self, layout: NeuronLayout) -> None:
        require_shape("factor", self.factor, layout)
        require_shape("a donor", self.donors.first[0], layout)

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        tokens = require_tokens(tokens)
        columns = block.offset + self.touched[block.columns].nonzero()[:, 0]
        if not len(columns):
            return activations
        path, donors = block.path, self.donors
        local = self._placed((path, "columns"), lambda: columns - block.offset, activations)
        factor = self._placed((path, "factor"), lambda: self.factor[columns], activations)
        rows = self._placed((path, "others"), lambda: donors.others[:, columns], activations)
        first = self._placed((path, "first"), lambda: donors.first[donors.chosen_first, columns], activations)
        chosen = self._placed(("chosen",), lambda: donors.chosen, activations)
        at_first = tokens.first[..., None]
        donor = torch.where(at_first, first, rows[chosen[tokens.position.clamp_min(0) % POSITIONS]])
        own = activations.index_select(-1, local)
        mixed = own * factor + donor * (1 - factor)
        return activations.index_copy(-1, local, changed_at(self.place, mixed, own, tokens))
