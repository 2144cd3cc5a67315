"""Principal component analysis, the baseline of every other method."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.methods.base import SubspaceDecomposition
from fbn_exp.methods.config import PCAConfig
from fbn_exp.methods.subspace import Subspace


class PCA(PCAConfig, SubspaceDecomposition):
    """Principal components of token-by-neuron signals; see ``Decomposition`` for attributes.

    Examples
    --------
    >>> networks = fbn.fit(fbn.PCA(n_components=3), signals)
    """

    @override
    def mixing(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        return subspace.mixing(torch.eye(self.count, dtype=torch.float64))
