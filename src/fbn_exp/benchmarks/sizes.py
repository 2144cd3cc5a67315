"""Size of an evaluated edit and of its controls: the dose that belongs to the harm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.control import Control
from fbn_exp.interventions.edit import Edit
from fbn_exp.interventions.rules import Intervention
from fbn_exp.interventions.sample.activations import EditSize
from fbn_exp.interventions.target import Target


@dataclass(frozen=True)
class EditSizes:
    """Sizes of an edit and of its controls, on activations of the untouched model.

    Attributes
    ----------
    own : EditSize
        Size of the intervention on the networks.
    controls : dict of ControlKind to list of float
        Energy of each draw of controls.
    """

    own: EditSize
    controls: dict[ControlKind, list[float]]


@dataclass(frozen=True)
class SizeMeasure:
    """How edits are measured, without a forward pass of the model.

    Attributes
    ----------
    size : callable
        Gives the size of an edit.
    energy : callable
        Gives the energy alone, in less time.
    """

    size: Callable[[Edit], EditSize]
    energy: Callable[[Edit], float]


def edit_sizes(
    measure: SizeMeasure,
    intervention: Intervention,
    target: Target,
    controls: Mapping[ControlKind, Sequence[Control]],
    factor: float | None = None,
    control_factors: Mapping[ControlKind, Sequence[float]] | None = None,
) -> EditSizes:
    """Measure an intervention on a target, and on its controls.

    Parameters
    ----------
    measure : SizeMeasure
        How.
    intervention : Intervention
        The intervention.
    target : Target
        Neurons that it acts on.
    controls : mapping of ControlKind to sequence of Control
        What stands in for them.
    factor : float, optional
        Factor that was chosen for the target, in place of the intervention's own.
    control_factors : mapping of ControlKind to sequence of float, optional
        Factor that was chosen for each draw.
    """

    def at(chosen: float | None) -> Intervention:
        return intervention if chosen is None else intervention.with_factor(chosen)

    total = sum(map(len, controls.values()))
    energies: dict[ControlKind, list[float]] = {}
    with tqdm(total=total, desc="energy of controls", leave=False, mininterval=0.5) as bar:
        for kind, drawn in controls.items():
            factors = [None] * len(drawn) if control_factors is None else control_factors[kind]
            energies[kind] = []
            for control, chosen in zip(drawn, factors, strict=True):
                energies[kind].append(measure.energy(control.edit(at(chosen))))
                bar.update()
    return EditSizes(measure.size(at(factor).edit(target)), energies)
