"""Whitening for spatial independence: methods that take neurons as samples and make maps independent."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from fbn_exp.core.errors import MethodError
from fbn_exp.core.moments import row_chunks
from fbn_exp.methods.base import Decomposition, SubspaceDecomposition
from fbn_exp.methods.config import Independence

# variance over neurons of a direction of norm 1, below which it is float32 rounding error
CONSTANT_DIRECTION = 1e-6


def makes_maps_independent(method: Decomposition) -> bool:
    """True if a method works on maps, False if on time courses: what ICA calls sources is either."""
    if not isinstance(method, SubspaceDecomposition):
        return True
    return getattr(method, "independence", Independence.temporal) is Independence.spatial


@dataclass(frozen=True, eq=False)
class NeuronWhitening:
    """Loadings centred over neurons and whitened, with the transform back to maps.

    Centring takes one degree of freedom from the loadings. If they span the constant map, which is equal in
    all neurons, centring removes that direction: it is set aside and becomes a separate map.

    Attributes
    ----------
    values : Tensor of shape (L, N), float64
        Zero mean, unit variance and no correlation over neurons; L is K, or K − 1 beside a constant map.
    whitening : Tensor of shape (L, K), float64
        ``whitening @ loadings`` is ``values`` before its mean is subtracted.
    constant : Tensor of shape (K − L, K), float64
        ``constant @ loadings`` is the constant map.
    """

    values: Tensor
    whitening: Tensor
    constant: Tensor

    @classmethod
    def of(cls, loadings: Tensor) -> Self:
        """Whiten loadings of shape (K, N), whose rows are orthonormal.

        Raises
        ------
        MethodError
            If all loadings are constant over neurons.
        """
        n_neurons = loadings.shape[1]
        mean = torch.stack([row.double().mean() for row in loadings])[:, None]
        covariance = torch.zeros(len(loadings), len(loadings), dtype=torch.float64, device=loadings.device)
        for chunk in row_chunks(loadings.T):
            centred = chunk.double() - mean.T
            covariance += centred.T @ centred
        variances, directions = torch.linalg.eigh(covariance)
        varies = variances > CONSTANT_DIRECTION
        if not varies.any():
            raise MethodError(
                f"signals vary alike in all {n_neurons:,} neurons, so maps cannot be separated: take "
                "method.independence=temporal, or a site with more neurons"
            )
        whitening = (directions[:, varies] / variances[varies].sqrt()).T * n_neurons**0.5
        values = whitening @ loadings.double()
        values -= values.mean(dim=1, keepdim=True)
        return cls(values, whitening, directions[:, ~varies].T)

    def mixing(self, rotation: Tensor) -> Tensor:
        """Compute the invertible matrix (K, K) that turns loadings into the maps ``rotation @ values``.

        The maps keep the mean that was subtracted for whitening: so they span the same space as the loadings,
        and explain the same variance. A constant map comes last.
        """
        return torch.cat([rotation @ self.whitening, self.constant])
