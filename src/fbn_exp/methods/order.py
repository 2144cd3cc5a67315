"""Number of components of signals: description length and evidence of probabilistic PCA."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import Tensor

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Array
from fbn_exp.methods.config import Criterion
from fbn_exp.methods.subspace import Subspace, leading_subspace


@dataclass(frozen=True, eq=False)
class OrderCurve:
    """Criterion over the number of components.

    Attributes
    ----------
    criterion : Criterion
        The criterion.
    values : array of shape (L + 1,)
        Log evidence in nats of 0 … L components, relative to none; minus the description length for ``mdl``.
    """

    criterion: Criterion
    values: Array

    @property
    def best(self) -> int:
        """Number of components with the largest value; the smaller one of equals."""
        return int(self.values.argmax())

    @property
    def bounded(self) -> bool:
        """True if the largest value is at the largest number considered, where the curve may still rise."""
        return self.best == len(self.values) - 1


def select_order(
    signals: Tensor, criterion: Criterion, largest: int, seed: int
) -> tuple[OrderCurve, Subspace]:
    """Compute a criterion for up to ``largest`` components of signals, and the subspace of those it prefers.

    The longer axis of the signals takes the role of samples, the shorter one of variables, as voxels and time
    points in Beckmann & Smith (2004). Only the leading eigenvalues and the total variance are needed.
    The model has noise of equal variance in all other directions. Where the spectrum has a long tail
    instead, as that of a language model's neurons, both criteria count the tail as components.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        Not changed.
    criterion : Criterion
        ``mdl`` or ``laplace``.
    largest : int
        Largest number considered; fewer where the signals have lower rank.
    seed : int
        Seed of the subspace.

    Returns
    -------
    OrderCurve
        The criterion over the number of components.
    Subspace
        Leading principal subspace of the signals, with the best number of dimensions.

    Raises
    ------
    MethodError
        If the signals hold no component, a value that is not finite, or fewer than three tokens or neurons.
    """
    n_tokens, n_neurons = signals.shape
    # centring costs one degree of freedom
    n_variables, n_samples = min(n_tokens - 1, n_neurons), max(n_tokens - 1, n_neurons)
    considered = min(largest, n_variables - 1)
    if considered < 1:
        raise MethodError(
            f"signals of {n_tokens:,} tokens × {n_neurons:,} neurons are too small for "
            "method.n_components=auto: take more text (dataset.n_texts), or set a number"
        )
    subspace = leading_subspace(signals, considered, torch.Generator().manual_seed(seed))
    kept = min(considered, subspace.rank)
    eigenvalues = subspace.singular_values[:kept].square().cpu().numpy() / n_samples
    total = subspace.total_energy / n_samples
    curve = criterion_curve(eigenvalues, total, n_samples, n_variables, criterion)
    if curve.best == 0:
        raise MethodError(
            f"method.n_components=auto: by {criterion}, signals of {n_tokens:,} tokens × {n_neurons:,} "
            "neurons hold no component above noise: take more text (dataset.n_texts), or set a number"
        )
    return curve, subspace.leading(curve.best)


def criterion_curve(
    eigenvalues: Array, total: float, n_samples: int, n_variables: int, criterion: Criterion
) -> OrderCurve:
    """Compute a criterion for 0 … L components from the leading L eigenvalues of a covariance.

    ``mdl`` is minus the description length of Wax & Kailath (1985), real-valued. ``laplace`` is Laplace's
    approximation of the evidence of probabilistic PCA (Minka 2000, eq. 30), in which eigenvalues beyond the
    leading ones count as equal.

    Parameters
    ----------
    eigenvalues : array of shape (L,)
        In decreasing order; L is below ``n_variables``.
    total : float
        Sum of all eigenvalues.
    n_samples, n_variables : int
        Number of samples, and of all eigenvalues.
    criterion : Criterion
        The criterion.

    Returns
    -------
    OrderCurve
        Relative to 0 components.
    """
    counts = np.arange(len(eigenvalues) + 1)
    noise = _noise(eigenvalues, total, n_variables)
    logs = np.concatenate([[0.0], np.cumsum(np.log(eigenvalues))])
    likelihood = -n_samples / 2 * (logs + (n_variables - counts) * np.log(noise))
    orientation = n_variables * counts - counts * (counts + 1) / 2
    if criterion is Criterion.mdl:
        # orientation, variances of the components, variance of the noise
        values = likelihood - (orientation + counts + 1) / 2 * math.log(n_samples)
    else:
        occam = (orientation + counts) / 2 * math.log(2 * math.pi) - counts / 2 * math.log(n_samples)
        curvature = _log_curvature(eigenvalues, noise, n_samples, n_variables)
        values = likelihood + _log_prior(counts, n_variables) + occam - curvature / 2
    return OrderCurve(criterion, values - values[0])


def _noise(eigenvalues: Array, total: float, n_variables: int) -> Array:
    """Variance of the noise beside 0 … L components; at least rounding error of the total."""
    rest = total - np.concatenate([[0.0], np.cumsum(eigenvalues)])
    variances: Array = np.maximum(rest, 1e-12 * total) / (n_variables - np.arange(len(rest)))
    return variances


def _log_prior(counts: NDArray[np.int64], n_variables: int) -> Array:
    """Log density of the uniform prior of the components' directions (Minka 2000, eq. 16)."""
    free = (n_variables - counts[1:] + 1) / 2
    each = gammaln(free) - free * math.log(math.pi) - math.log(2)
    prior: Array = np.concatenate([[0.0], np.cumsum(each)])
    return prior


def _log_curvature(eigenvalues: Array, noise: Array, n_samples: int, n_variables: int) -> Array:
    """Log determinant of the Hessian of the components' directions (Minka 2000, eq. 22), shape (L + 1,)."""
    largest = len(eigenvalues)
    # the last column stands for all eigenvalues beyond the leading ones
    all_values = np.append(eigenvalues, noise[-1])
    weight = np.append(np.ones(largest), n_variables - largest)
    later = np.arange(largest + 1)[None, :] > np.arange(largest)[:, None]
    tiny = np.finfo(float).tiny
    gap = np.log(np.maximum(eigenvalues[:, None] - all_values, tiny))
    result = np.zeros(largest + 1)
    for count in range(1, largest + 1):
        modelled = np.append(eigenvalues[:count], np.full(largest + 1 - count, noise[count]))
        precision = np.log(np.maximum(1 / modelled - 1 / eigenvalues[:count, None], tiny))
        terms = (precision + gap[:count] + math.log(n_samples)) * weight
        result[count] = terms[later[:count]].sum()
    return result
