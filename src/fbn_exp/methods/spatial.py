"""Spatial independence: what methods share that take neurons as samples and make maps independent."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from fbn_exp.core.errors import MethodError
from fbn_exp.core.moments import row_chunks

# variance over neurons, of a direction of norm 1: below lies what float32 rounds away
CONSTANT_DIRECTION = 1e-6


@dataclass(frozen=True, eq=False)
class NeuronWhitening:
    """Loadings centred over neurons and whitened, and the way back to maps.

    Centring takes one degree of freedom from the loadings. Where they contain the map that is equal in
    all neurons, nothing else is left of that direction: it is set aside, and is a map of its own.

    Attributes
    ----------
    values : Tensor of shape (L, N), float64
        Zero mean, unit variance and no correlation over neurons; L is K, or K − 1 beside a constant map.
    whitening : Tensor of shape (L, K), float64
        ``whitening @ loadings`` is ``values`` before its mean is taken out.
    constant : Tensor of shape (K − L, K), float64
        ``constant @ loadings`` is the map that is equal in all neurons.
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
            If all of them are constant over neurons.
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
                f"signals move alike in all {n_neurons:,} neurons: there is nothing to separate over "
                "neurons; take temporal independence, or a site with more neurons"
            )
        whitening = (directions[:, varies] / variances[varies].sqrt()).T * n_neurons**0.5
        values = whitening @ loadings.double()
        values -= values.mean(dim=1, keepdim=True)
        return cls(values, whitening, directions[:, ~varies].T)

    def mixing(self, rotation: Tensor) -> Tensor:
        """Invertible matrix (K, K) that turns loadings into the maps ``rotation @ values``.

        The maps keep the mean that was taken out to find them: so they span what the loadings span, and
        explain the same variance. Where one map is constant, it comes last.
        """
        return torch.cat([rotation @ self.whitening, self.constant])
