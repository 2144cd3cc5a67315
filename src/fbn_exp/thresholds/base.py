"""Base class of the rules that turn a map into a mask of a network's member neurons."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Threshold(ABC):
    """A rule that decides which neurons are members of a network.

    One-sided rules consider positive weights only. The sign of a network is arbitrary; by convention its
    peak, the weight of largest magnitude, is positive.
    """

    two_sided: bool

    @abstractmethod
    def masks(self, maps: Tensor) -> Tensor:
        """Compute the members of each network.

        Parameters
        ----------
        maps : Tensor of shape (K, N)
            Weights, with a positive peak in every row.

        Returns
        -------
        Tensor of shape (K, N), bool
            True at members; a row may have none.
        """

    @abstractmethod
    def describe(self) -> str:
        """Describe the rule in a few words, for captions."""

    def _magnitude(self, scores: Tensor) -> Tensor:
        return scores.abs() if self.two_sided else scores

    def _sides(self) -> str:
        return "two-sided" if self.two_sided else "one-sided"


def z_scores(maps: Tensor) -> Tensor:
    """Standardise weights over neurons, row by row: mean 0, standard deviation 1; a constant row gives 0."""
    exact = maps.double()
    centred = exact - exact.mean(dim=1, keepdim=True)
    deviation = centred.square().mean(dim=1, keepdim=True).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1.0)
