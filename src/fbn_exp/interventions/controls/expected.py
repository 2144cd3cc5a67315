"""Energy of affine edits from statistics of neurons, where no activations are at hand."""

from collections.abc import Callable

from torch import Tensor

from fbn_exp.core.moments import NeuronStatistics
from fbn_exp.interventions.controls.noise import NoiseEdit
from fbn_exp.interventions.edit import AffineEdit, Edit, Sums
from fbn_exp.interventions.rules import Intervention
from fbn_exp.interventions.sample.activations import EditSize
from fbn_exp.interventions.target import Target


def expected_energy(intervention: Intervention, target: Target) -> Callable[[Edit], Tensor] | None:
    """Function that computes the energy of edits from the statistics of the extraction texts.

    The mean of ‖(a − 1) x + b‖² over tokens takes mean and mean square of x alone.

    Returns
    -------
    callable or None
        Maps an edit to the mean over tokens of the squared change of every neuron, shape (N,). None if edits
        of the intervention are no affine change of single neurons, which only activations tell, or if they
        treat first tokens apart, and the statistics do not.
    """
    edit, first, others = intervention.edit(target), target.statistics.first, target.statistics.others
    if not isinstance(edit, AffineEdit) or (first is None and edit.by_position):
        return None
    share = 0.0 if first is None else first.n_tokens / max(1, first.n_tokens + others.n_tokens)
    # where first tokens are not known apart, all count as others
    sums = _sums(others if first is None else first, share), _sums(others, 1 - share)

    def energy(edit: Edit) -> Tensor:
        assert isinstance(edit, AffineEdit)
        return edit.energy(*sums)

    return energy


def expected_size(neuron_energy: Callable[[Edit], Tensor], target: Target, edit: Edit) -> EditSize:
    """Size of an edit by the statistics of the extraction texts, which know no residual stream.

    Parameters
    ----------
    neuron_energy : callable
        As by ``expected_energy``.
    target : Target
        Holds the statistics.
    edit : Edit
        Edit of the intervention, on its target or on a control. Noise has the energy of the edit that it
        stands for.
    """
    own = edit.edit if isinstance(edit, NoiseEdit) else edit
    energy = float(neuron_energy(own).sum())
    total = float(target.statistics.all.mean_square.sum())
    return EditSize(energy, energy / max(total, 1e-300), None)


def _sums(of: NeuronStatistics, share: float) -> Sums:
    """Sums over tokens that make a share of all, for each token of all."""
    return share, share * of.mean.double(), share * of.mean_square.double()
