"""Base class of the rules that turn a map into a mask of a network's member neurons."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.thresholds.config import Pole


@dataclass(frozen=True, eq=False)
class Tails:
    """Tails of the distribution of each map's weights, on either side of its bulk.

    Attributes
    ----------
    positive, negative : Tensor of shape (K,), float64
        Share of the neurons that belong to the tail; 0 where the map has none on that side.
    """

    positive: Tensor
    negative: Tensor


class Threshold(ABC):
    """A rule that decides which neurons are members of a network.

    The sign of a network is arbitrary; by convention the heavier tail of its map is positive.
    Neurons of the positive pole go up where the time course does, those of the negative pole go down.
    """

    pole: Pole

    @abstractmethod
    def masks(self, maps: Tensor, layout: NeuronLayout | None = None) -> Tensor:
        """Compute the members of each network.

        Parameters
        ----------
        maps : Tensor of shape (K, N)
            Weights, with a positive skewness in every row.
        layout : NeuronLayout, optional
            Blocks of the neurons, for rules with a null per block; without it all neurons are one block.

        Returns
        -------
        Tensor of shape (K, N), bool
            True at members; a row may have none.
        """

    def masks_of_z(self, z: Tensor, layout: NeuronLayout | None = None) -> Tensor:
        """Compute the members of networks whose weights are z scores with a standard normal null.

        Parameters
        ----------
        z : Tensor of shape (K, N)
            The scores; the skewness of a row can be negative.
        layout : NeuronLayout, optional
            As in ``masks``.
        """
        return self.masks(z, layout)

    def tails(self, maps: Tensor, layout: NeuronLayout | None = None) -> Tails | None:
        """Tails of each map; None from a rule that does not ask whether there are any.

        Parameters
        ----------
        maps, layout
            As in ``masks``.
        """
        return None

    @abstractmethod
    def describe(self) -> str:
        """Describe the rule in a few words, for captions."""

    def _oriented(self, scores: Tensor) -> Tensor:
        """Scores that are large at the neurons of the chosen pole."""
        match self.pole:
            case Pole.positive:
                return scores
            case Pole.negative:
                return -scores
            case Pole.both:
                return scores.abs()

    def _sides(self) -> str:
        return "both poles" if self.pole is Pole.both else f"{self.pole} pole"


def z_scores(maps: Tensor) -> Tensor:
    """Standardise weights over neurons, row by row: mean 0, standard deviation 1; a constant row gives 0."""
    exact = maps.double()
    centred = exact - exact.mean(dim=1, keepdim=True)
    deviation = centred.square().mean(dim=1, keepdim=True).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1.0)
