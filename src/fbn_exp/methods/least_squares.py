"""Least-squares time courses of given maps."""

import torch
from torch import Tensor

from fbn_exp.core.memmap import times


def least_squares_courses(signals: Tensor, maps: Tensor) -> Tensor:
    """Compute time courses C that minimise ‖signals − mean − C · maps‖², in one pass over the signals.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        Not changed.
    maps : Tensor of shape (K, N), float32
        Maps may be 0 or linearly dependent: C is then the solution of smallest norm.

    Returns
    -------
    Tensor of shape (T, K), float64
        Time courses with zero mean over tokens.
    """
    unit, size, inverse = _normalised(maps.to(signals.device))
    products = times(signals, unit.T.float()).double()
    products -= products.mean(dim=0)
    return products @ inverse / size


def separate_courses(signals: Tensor, maps: Tensor) -> tuple[Tensor, float]:
    """Fit each map by itself, which is well determined also for maps that are nearly dependent.

    Parameters
    ----------
    signals, maps
        As in ``least_squares_courses``.

    Returns
    -------
    courses : Tensor of shape (T, K), float64
        Projection of the centred signals on each map; 0 for a map that is 0.
    energy : float
        Squared Frobenius norm of the joint fit of all maps.
    """
    unit, size, inverse = _normalised(maps.to(signals.device))
    products = times(signals, unit.T.float()).double()
    products -= products.mean(dim=0)
    return products / size, float(((products @ inverse) * products).sum())


def least_squares_filters(maps: Tensor) -> Tensor:
    """Compute filters F, so that centred signals X have the least-squares time courses X Fᵀ.

    Parameters
    ----------
    maps : Tensor of shape (K, N)
        As in ``least_squares_courses``.

    Returns
    -------
    Tensor of shape (K, N), float64
        Pseudo-inverse of the maps, transposed.
    """
    unit, size, inverse = _normalised(maps)
    return inverse @ unit / size[:, None]


def _normalised(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of norm 1, their norms, and the pseudo-inverse of their Gram matrix, in float64.

    Maps are scaled to norm 1, so that differences in scale do not worsen the conditioning.
    """
    exact = maps.double()
    size = torch.linalg.vector_norm(exact, dim=1).clamp_min(1e-300)
    unit = exact / size[:, None]
    return unit, size, torch.linalg.pinv(unit @ unit.T, hermitian=True, rtol=1e-10)
