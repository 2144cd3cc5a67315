"""Several edits in one forward pass: the rows of a batch are divided between them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, reduce

import torch
from torch import Tensor, nn
from typing_extensions import override

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.interventions.edit import AffineEdit, Edit, tensors_kept
from fbn_exp.models.positions import Tokens, require_tokens


def stacks(edits: Sequence[Edit], size: int) -> list[list[int]]:
    """Divide edits into groups that share a batch, as places in ``edits``.

    Edits that scale and shift are grouped together, since they are one product and one sum, and all others
    apart from them. An edit with a pass of its own is alone.

    Parameters
    ----------
    edits : sequence of Edit
        The edits.
    size : int
        Largest number of edits of a group.
    """
    alone = [place for place, edit in enumerate(edits) if edit.own_pass]
    affine = [place for place, edit in enumerate(edits) if isinstance(edit, AffineEdit)]
    others = [place for place in range(len(edits)) if place not in {*alone, *affine}]
    together = [
        places[start : start + size]
        for places in (affine, others)
        for start in range(0, len(places), max(1, size))
    ]
    return sorted([*together, *([place] for place in alone)])


def stacked(edits: Sequence[Edit]) -> Edit:
    """Edit of a batch whose rows are divided between edits: the first edit has the first rows, and so on."""
    if len(edits) == 1:
        return edits[0]
    affine = [edit for edit in edits if isinstance(edit, AffineEdit)]
    return StackedAffineEdit(tuple(affine)) if len(affine) == len(edits) else StackedEdit(tuple(edits))


@dataclass(frozen=True, eq=False)
class StackedEdit(Edit):
    """Edits of the rows of a batch: of E · B rows edit e has rows e · B to (e + 1) · B.

    Attributes
    ----------
    edits : tuple of Edit
        At least two edits of one layout, none with a pass of its own.
    """

    edits: tuple[Edit, ...]

    @cached_property
    def _touched(self) -> list[Tensor]:
        return [edit.touched for edit in self.edits]

    @property
    @override
    def touched(self) -> Tensor:
        return reduce(torch.logical_or, self._touched)

    @property
    @override
    def digest(self) -> str:
        return hashlib.sha256(" ".join(edit.digest for edit in self.edits).encode()).hexdigest()

    @property
    @override
    def by_position(self) -> bool:
        return any(edit.by_position for edit in self.edits)

    @override
    def require_layout(self, layout: NeuronLayout) -> None:
        for edit in self.edits:
            edit.require_layout(layout)

    @override
    @contextmanager
    def running(self, model: nn.Module, layout: NeuronLayout) -> Iterator[Edit]:
        with ExitStack() as contexts:
            active = []
            for edit in self.edits:
                contexts.enter_context(tensors_kept(edit))
                active.append(contexts.enter_context(edit.running(model, layout)))
            yield self if tuple(active) == self.edits else StackedEdit(tuple(active))

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        changed = []
        groups = self._groups(block, activations)
        positions = [None] * len(groups) if tokens is None else self._positions(tokens)
        for edit, touched, own, position in zip(self.edits, self._touched, groups, positions, strict=True):
            of_group = None if position is None else Tokens(position)
            touches = touched[block.columns].any()
            changed.append(edit.change(block, own, of_group) if touches else own)
        return torch.stack(changed).view(activations.shape)

    def _groups(self, block: Block, activations: Tensor) -> Tensor:
        """Activations of each edit's tokens, shape (edits, tokens, width).

        Raises
        ------
        LayoutError
            If the rows are not as many for each edit.
        """
        if len(activations) % len(self.edits):
            raise LayoutError(
                f"{block.path} has a batch of {len(activations)}, which cannot be divided between "
                f"{len(self.edits)} edits: take benchmark.edits_per_batch=1"
            )
        return activations.reshape(len(self.edits), -1, block.width)

    def _positions(self, tokens: Tokens) -> Tensor:
        return tokens.position.reshape(len(self.edits), -1)


@dataclass(frozen=True, eq=False)
class StackedAffineEdit(StackedEdit):
    """Stacked edits that scale and shift: one product and one sum for all of them."""

    edits: tuple[AffineEdit, ...]

    @cached_property
    def _first_apart(self) -> bool:
        return self.by_position

    @override
    @contextmanager
    def running(self, model: nn.Module, layout: NeuronLayout) -> Iterator[Edit]:
        yield self

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        groups = self._groups(block, activations)
        changed = self._affine("", lambda edit: (edit.scale, edit.shift), block, groups)
        if self._first_apart:
            first = self._affine("first ", lambda edit: edit.at_first, block, groups)
            changed = torch.where(self._positions(require_tokens(tokens))[..., None] == 0, first, changed)
        return changed.view(activations.shape)

    def _affine(
        self, name: str, vectors: Callable[[AffineEdit], tuple[Tensor, Tensor]], block: Block, groups: Tensor
    ) -> Tensor:
        def of_block(number: int) -> Tensor:
            return torch.stack([vectors(edit)[number][block.columns] for edit in self.edits])[:, None]

        scale = self._placed((f"{name}scale", block.path), lambda: of_block(0), groups)
        shift = self._placed((f"{name}shift", block.path), lambda: of_block(1), groups)
        return torch.addcmul(shift, groups, scale)
