"""Which neurons belong to a network: rules that turn a map into a mask."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Threshold(ABC):
    """A rule for membership.

    One-sided rules take the positive side only. Since the sign of a network is arbitrary, it is fixed
    by its peak first: the weight of largest magnitude is positive.
    """

    two_sided: bool

    @abstractmethod
    def masks(self, maps: Tensor) -> Tensor:
        """Members of each network.

        Parameters
        ----------
        maps : Tensor of shape (K, N)
            Weights, each row with its peak positive.

        Returns
        -------
        Tensor of shape (K, N), bool
            A row may be empty.
        """

    @abstractmethod
    def describe(self) -> str:
        """The rule in words, for captions."""

    def _magnitude(self, scores: Tensor) -> Tensor:
        return scores.abs() if self.two_sided else scores

    def _sides(self) -> str:
        return "two-sided" if self.two_sided else "one-sided"


def z_scores(maps: Tensor) -> Tensor:
    """Weights standardised over neurons, row by row: mean 0, standard deviation 1; a flat row is 0."""
    exact = maps.double()
    centred = exact - exact.mean(dim=1, keepdim=True)
    deviation = centred.square().mean(dim=1, keepdim=True).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1.0)
