"""Energy of affine edits from statistics of neurons, where no activations are at hand."""

from collections.abc import Callable

from torch import Tensor

from fbn_exp.core.moments import NeuronStatistics
from fbn_exp.interventions.edit import AffineEdit, Edit
from fbn_exp.interventions.rules import Intervention
from fbn_exp.interventions.target import Target


def expected_energy(intervention: Intervention, target: Target) -> Callable[[Edit], Tensor] | None:
    """Function that computes the energy of edits from the statistics of the extraction texts.

    The mean of ‖(a − 1) x + b‖² over tokens takes mean and mean square of x alone.

    Returns
    -------
    callable or None
        Maps an edit to the mean over tokens of the squared change of every neuron, shape (N,). None if edits
        of the intervention are no affine change of single neurons, which only activations tell.
    """
    if not isinstance(intervention.edit(target), AffineEdit):
        return None
    statistics = target.statistics

    def energy(edit: Edit) -> Tensor:
        assert isinstance(edit, AffineEdit)
        others = _energy(edit.scale, edit.shift, statistics.others)
        if statistics.first is None:
            return others
        scale = edit.scale if edit.first_scale is None else edit.first_scale
        shift = edit.shift if edit.first_shift is None else edit.first_shift
        n_first, n_others = statistics.first.n_tokens, statistics.others.n_tokens
        share = n_first / max(1, n_first + n_others)
        return share * _energy(scale, shift, statistics.first) + (1 - share) * others

    return energy


def _energy(scale: Tensor, shift: Tensor, of: NeuronStatistics) -> Tensor:
    gain, constant = scale.double() - 1, shift.double()
    mean, square = of.mean.double(), of.mean_square.double()
    return (gain.square() * square + 2 * gain * constant * mean + constant.square()).clamp_min(0)
