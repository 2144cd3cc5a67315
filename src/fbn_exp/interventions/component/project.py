"""Projection: the direction of a network is taken out of each block."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.interventions.block_maps import BlockMap, Removal
from fbn_exp.interventions.component.base import ComponentEdit, ComponentIntervention
from fbn_exp.interventions.component.config import ProjectConfig
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.resample import Donors
from fbn_exp.interventions.target import Target
from fbn_exp.models.positions import Tokens

# share of a map's norm in a block below which its direction there is rounding error
ROUNDING = 1e-6
# singular value, relative to the largest, below which directions of unit length coincide
COINCIDENT = 1e-5


@dataclass(frozen=True, eq=False)
class Projection:
    """Change of a block's activations x to x − ((x − centre) · inward) · outward, for r directions.

    Attributes
    ----------
    inward, outward : Tensor of shape (r, width), float64
        Directions whose coefficients are read, and directions that are taken out by them.
    offset, first_offset : Tensor of shape (r,), float64
        Coefficients of the centre, at all tokens but first ones and at first tokens.
    """

    inward: Tensor
    outward: Tensor
    offset: Tensor
    first_offset: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class ProjectEdit(ComponentEdit):
    """Take the directions of networks out of each block: x − (1 − factor) Σ ((x − centre) · u) u.

    u is the map of a network in units of activations, restricted to the block, of length 1. Of several
    networks with one factor, the deviation from the centre is projected on all that they span. With a factor
    for each, it is decomposed into their directions together (least squares), and every part takes its own.

    Attributes
    ----------
    layout : NeuronLayout
        Blocks of the neurons.
    least_energy : float
        Blocks that hold less than this share of the sum of squares of a map are left alone by it.

    Raises
    ------
    ConfigError
        If networks with different factors have the same direction in a block.
    """

    layout: NeuronLayout
    least_energy: float = 0.0
    _projections: dict[str, Projection] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        energy = self.patterns.double().square()
        share = energy / energy.sum(dim=1, keepdim=True).clamp_min(1e-300)
        for block in self.layout.blocks:
            held = share[:, block.columns].sum(dim=1)
            kept = held > max(self.least_energy, ROUNDING**2)
            if kept.any():
                self._projections[block.path] = self._projection(block, kept)

    @property
    @override
    def touched(self) -> Tensor:
        touched = super().touched
        for block in self.layout.blocks:
            touched[block.columns] &= block.path in self._projections
        return touched

    @override
    def _hashed(self) -> Sequence[Tensor]:
        return *super()._hashed(), torch.tensor([self.least_energy])

    def projection(self, block: Block) -> Projection:
        """Directions that are taken out of a block that is touched."""
        return self._projections[block.path]

    @property
    @override
    def unfoldable(self) -> str | None:
        if not self.by_position:
            return None
        return (
            "first tokens have their own centre, or are spared, and weights are the same for all tokens; "
            "take intervention.fill=zero or mean, and intervention.tokens=all"
        )

    @override
    def in_weights(self, block: Block) -> BlockMap:
        held = self.projection(block)
        return Removal(held.offset @ held.outward, held.inward, held.outward)

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        exact = activations.to(torch.promote_types(activations.dtype, torch.float32))
        held, path = self.projection(block), block.path
        inward = self._placed(("inward", path), lambda: held.inward, exact)
        outward = self._placed(("outward", path), lambda: held.outward, exact)
        plain = self._placed(("offset", path), lambda: held.offset, exact)
        first = self._placed(("first offset", path), lambda: held.first_offset, exact)
        coefficients = exact @ inward.T - self._offset(plain, first, tokens)
        return self._at_chosen(exact - coefficients @ outward, activations, tokens)

    def _projection(self, block: Block, kept: Tensor) -> Projection:
        part = self.patterns[kept][:, block.columns].double()
        unit = part / torch.linalg.vector_norm(part, dim=1, keepdim=True)
        left, strength, basis = torch.linalg.svd(unit, full_matrices=False)
        independent = strength > COINCIDENT * strength[0]
        left, strength, basis = left[:, independent], strength[independent], basis[independent]
        removed = 1 - torch.tensor(self.factors, dtype=torch.float64)[kept]
        if (removed == removed[0]).all():
            inward, outward = basis, removed[0] * basis
        elif len(strength) < len(unit):
            raise ConfigError(
                f"intervention.factor is {list(self.factors)}, but networks have the same direction in "
                f"{block.path}: give one factor for all"
            )
        else:
            # rows of the pseudo-inverse of the directions: coefficients of a joint least-squares fit
            inward, outward = left @ (basis / strength[:, None]), removed[:, None] * unit
        centres = (each[block.columns].double() for each in (self.centre, self.first_centre))
        return Projection(inward, outward, *(inward @ centre for centre in centres))


class Project(ProjectConfig, ComponentIntervention):
    """Take the directions of networks out of every block: x − (1 − factor) Σ ((x − mean) · u) u.

    Examples
    --------
    >>> removed = fbn.Project([0]).on(networks)
    >>> halved = fbn.Project([0], factor=0.5, fill="mean").on(networks)
    """

    @override
    def edit_along(self, patterns: Tensor, target: Target) -> ProjectEdit:
        centre, first_centre = self._centres(target)
        edit = ProjectEdit(
            patterns=patterns,
            factors=self._factors(target),
            centre=centre,
            first_centre=first_centre,
            place=self.tokens,
            layout=target.layout,
            least_energy=self.least_energy,
        )
        return edit if self.energy is None else self._dosed(edit, self.energy, target)

    def _dosed(self, edit: ProjectEdit, energy: float, target: Target) -> ProjectEdit:
        """Edit with the factor at which it removes a share of the energy."""
        if target.donors is None:
            raise NetworksError(
                "intervention.energy is solved for on a sample of activations, and the target has none: give "
                "it donors, as evaluate.py does"
            )
        held = removed_share(edit, target.donors)
        if not held > 0:
            raise NetworksError(
                f"networks {list(target.networks)} hold no energy where they are changed: there is nothing "
                "that intervention.energy could remove"
            )
        return replace(edit, factors=(1 - math.sqrt(energy / held),) * len(edit.patterns))

    @override
    def describe(self) -> str:
        described = self._described("project")
        return described if self.energy is None else f"{described}, dosed to {self.energy:.3g} of the energy"


def removed_share(edit: ProjectEdit, sample: Donors) -> float:
    """Share of the energy of deviations from the centre that an edit removes, at the tokens that it changes.

    Parameters
    ----------
    edit : ProjectEdit
        The edit.
    sample : Donors
        Activations of the untouched model.
    """
    rows = {
        Place.all: ((sample.first, edit.first_centre), (sample.others, edit.centre)),
        Place.first_only: ((sample.first, edit.first_centre),),
        Place.first_spared: ((sample.others, edit.centre),),
    }
    removed = held = 0.0
    touched = edit.touched
    for activations, centre in rows[edit.place]:
        for block in edit.layout.blocks:
            deviation = activations[:, block.columns] - centre[block.columns].float()
            held += float(deviation.square().sum(dtype=torch.float64))
            if touched[block.columns].any():
                projection = edit.projection(block)
                change = deviation @ projection.inward.float().T @ projection.outward.float()
                removed += float(change.square().sum(dtype=torch.float64))
    return removed / max(held, 1e-300)
