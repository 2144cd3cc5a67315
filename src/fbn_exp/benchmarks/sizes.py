"""Size of an evaluated edit and of its controls: the dose that belongs to the harm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from tqdm import tqdm

from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.control import Control
from fbn_exp.interventions.rules import Intervention
from fbn_exp.interventions.sample.activations import ActivationSample, EditSize
from fbn_exp.interventions.target import Target


@dataclass(frozen=True)
class EditSizes:
    """Sizes on a sample of activations.

    Attributes
    ----------
    own : EditSize
        Size of the intervention on the networks.
    controls : dict of ControlKind to list of float
        Energy of each draw of controls.
    """

    own: EditSize
    controls: dict[ControlKind, list[float]]


def edit_sizes(
    sample: ActivationSample,
    model: nn.Module,
    intervention: Intervention,
    target: Target,
    controls: Mapping[ControlKind, Sequence[Control]],
) -> EditSizes:
    """Measure an intervention on a target, and on its controls, without a forward pass of the model.

    Parameters
    ----------
    sample : ActivationSample
        Activations of the untouched model.
    model : nn.Module
        The model, without interventions.
    intervention : Intervention
        The intervention.
    target : Target
        Neurons that it acts on.
    controls : mapping of ControlKind to sequence of Control
        What stands in for them.
    """
    bar = tqdm(
        total=sum(map(len, controls.values())), desc="energy of controls", leave=False, mininterval=0.5
    )
    energies: dict[ControlKind, list[float]] = {}
    with bar:
        for kind, drawn in controls.items():
            energies[kind] = []
            for control in drawn:
                energies[kind].append(sample.energy(control.edit(intervention)))
                bar.update()
    return EditSizes(sample.size(intervention.edit(target), model), energies)
