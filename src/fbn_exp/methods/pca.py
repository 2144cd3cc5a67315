"""Principal component analysis: what whitening alone finds, the baseline of every other method."""

import torch
from torch import Tensor

from fbn_exp.methods.base import Decomposition
from fbn_exp.subspace import Subspace


class PCA(Decomposition):
    """Principal components of token-by-neuron signals; see ``Decomposition`` for attributes."""

    def _rotation(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        return torch.eye(self.n_components, dtype=torch.float64)
