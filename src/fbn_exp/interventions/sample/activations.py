"""A sample of the untouched model's activations, and the size of an edit on it without a forward pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.interventions.edit import AffineEdit, Edit, Sums
from fbn_exp.interventions.resample import Donors
from fbn_exp.interventions.sample.residual import added_to_residual
from fbn_exp.models.positions import Tokens


@dataclass(frozen=True)
class EditSize:
    """Size of an edit on activations of the untouched model.

    Attributes
    ----------
    energy : float
        Squared norm of the change, summed over blocks, mean over tokens.
    energy_share : float
        Energy over that of the activations themselves; above 1 for an edit that adds more than there is.
    residual_change : float or None
        Norm of what the change adds to the residual stream over the norm of the stream after that block, mean
        over tokens and edited blocks; 0 for an edit that changes nothing, None where the blocks' residual
        streams are unknown.
    """

    energy: float
    energy_share: float
    residual_change: float | None


@dataclass(frozen=True, eq=False)
class ActivationSample:
    """Activations of the untouched model at T tokens of some texts, first tokens of texts before all others.

    Attributes
    ----------
    layout : NeuronLayout
        Order of the neurons.
    values : Tensor of shape (T, N), float32
        Activations, on the CPU.
    positions, texts : Tensor of shape (T,), int64
        Position of each token in its text, and index of the text.
    residual_norms : Tensor of shape (T, B), float32
        Norm of the residual stream after each block of the layout; NaN where it is unknown.
    """

    layout: NeuronLayout
    values: Tensor
    positions: Tensor
    texts: Tensor
    residual_norms: Tensor

    @property
    def first(self) -> Tensor:
        """First tokens of texts, bool of shape (T,)."""
        return self.positions == 0

    @cached_property
    def total_energy(self) -> float:
        """Squared norm of the activations of all neurons, mean over tokens."""
        return float(sum(squares.sum() for _, _, squares in self._sums)) / len(self.values)

    def energy(self, edit: Edit) -> float:
        """Squared norm of an edit's change of the activations, summed over blocks, mean over tokens."""
        return float(self.neuron_energy(edit).sum())

    def neuron_energy(self, edit: Edit) -> Tensor:
        """Mean over tokens of the squared change of every neuron, float64 of shape (N,)."""
        if isinstance(edit, AffineEdit):
            return self._affine_energy(edit)
        energy = torch.zeros(self.layout.n_neurons, dtype=torch.float64)
        for index, _, change in self._changes(edit):
            energy[self.layout.blocks[index].columns] = _squares(change) / len(self.values)
        return energy

    def _affine_energy(self, edit: AffineEdit) -> Tensor:
        """Energy from sums over tokens alone: controls by the hundred need no look at each activation."""
        edit.require_layout(self.layout)
        return edit.energy(*self._sums) / len(self.values)

    @cached_property
    def _sums(self) -> tuple[Sums, Sums]:
        """Number, sum and sum of squares over first tokens, and over the others, of every neuron."""
        donors = self.donors()
        return self._sums_of(donors.first), self._sums_of(donors.others)

    def _sums_of(self, rows: Tensor) -> Sums:
        blocks = [rows[:, block.columns] for block in self.layout.blocks]
        total = torch.cat([part.double().sum(dim=0) for part in blocks])
        return len(rows), total, torch.cat([_squares(part) for part in blocks])

    def residual_change(self, edit: Edit, model: nn.Module) -> float | None:
        """Relative change of the residual stream; see ``EditSize``."""
        return self.size(edit, model).residual_change

    def size(self, edit: Edit, model: nn.Module) -> EditSize:
        """Energy and relative change of the residual stream of an edit.

        Parameters
        ----------
        edit : Edit
            Edit of the neurons of the layout.
        model : nn.Module
            The model that was recorded; what lies between the neurons and the residual stream is run.
        """
        energy, ratios, unknown = 0.0, [], False
        for index, activations, change in self._changes(edit):
            energy += float(_squares(change).sum()) / len(self.values)
            block, norms = self.layout.blocks[index], self.residual_norms[:, index].double()
            if norms.isnan().any():
                unknown = True
                continue
            added = added_to_residual(model, self.layout.site, block, activations, change)
            ratios.append((torch.linalg.vector_norm(added.double(), dim=1) / norms.clamp_min(1e-300)).mean())
        change_of_stream = float(torch.stack(ratios).mean()) if ratios else 0.0
        share = energy / max(self.total_energy, 1e-300)
        return EditSize(energy, share, None if unknown else change_of_stream)

    def donors(self, seed: int = 0) -> Donors:
        """Tokens whose activations can replace those of other texts; views of the sample."""
        n_first = int(self.first.sum())
        return Donors(self.values[:n_first], self.values[n_first:], seed)

    def _changes(self, edit: Edit) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield index, activations and their change, both of shape (T, width), of every edited block."""
        edit.require_layout(self.layout)
        touched, tokens = edit.touched, Tokens(self.positions)
        recorded = edit.on_recorded(self.values, tokens)
        for index, block in enumerate(self.layout.blocks):
            if touched[block.columns].any():
                activations = self.values[:, block.columns]
                yield index, activations, _changed(recorded, block, activations, tokens) - activations


def _changed(edit: Edit, block: Block, activations: Tensor, tokens: Tokens) -> Tensor:
    with torch.inference_mode():
        return edit.change(block, activations, tokens)


def _squares(change: Tensor) -> Tensor:
    """Sum over tokens of the squared change of each neuron, float64."""
    return change.double().square().sum(dim=0)
