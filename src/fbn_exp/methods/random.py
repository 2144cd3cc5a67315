"""A random rotation of the principal subspace: explains the same variance as ICA, but is not learned."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.methods.base import SubspaceDecomposition
from fbn_exp.methods.config import RandomConfig
from fbn_exp.methods.subspace import Subspace


class RandomRotation(RandomConfig, SubspaceDecomposition):
    """Whitened signals turned by a rotation drawn uniformly; see ``Decomposition`` for attributes.

    It differs from ``ICA`` only in that the rotation is not learned: a result that both methods share
    is not due to independence.

    Examples
    --------
    >>> networks = fbn.fit(fbn.RandomRotation(n_components=3, seed=1), signals)
    """

    @override
    def mixing(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        return subspace.mixing(random_rotations(1, self.count, generator)[0])


def random_rotations(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw orthogonal matrices (count, size, size), float64, uniformly (Mezzadri 2007)."""
    gaussian = torch.randn(count, size, size, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    # without this sign the distribution is not uniform
    return q * r.diagonal(dim1=1, dim2=2).sign()[:, None, :]
