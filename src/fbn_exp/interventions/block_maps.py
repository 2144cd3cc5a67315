"""Affine maps of a block's activations, x to M x + shift, as they go into weights."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override


@dataclass(frozen=True, eq=False)
class BlockMap(ABC):
    """Affine map of the activations of a block.

    Attributes
    ----------
    shift : Tensor of shape (width,)
        Constant that is added.
    """

    shift: Tensor

    @abstractmethod
    def times(self, weight: Tensor) -> Tensor:
        """M · weight, for a weight of shape (…, width, n)."""

    @abstractmethod
    def transposed_times(self, weight: Tensor) -> Tensor:
        """Mᵀ · weight, for a weight of shape (…, width, n)."""


@dataclass(frozen=True, eq=False)
class Scaling(BlockMap):
    """Every neuron times its own factor.

    Attributes
    ----------
    scale : Tensor of shape (width,)
        Factors.
    """

    scale: Tensor

    @override
    def times(self, weight: Tensor) -> Tensor:
        return weight * self.scale.to(weight)[:, None]

    @override
    def transposed_times(self, weight: Tensor) -> Tensor:
        return self.times(weight)


@dataclass(frozen=True, eq=False)
class Removal(BlockMap):
    """What r directions hold is taken out: M = 1 − outwardᵀ · inward.

    Attributes
    ----------
    inward, outward : Tensor of shape (r, width)
        Directions whose coefficients are read, and directions that are taken out by them.
    """

    inward: Tensor
    outward: Tensor

    @override
    def times(self, weight: Tensor) -> Tensor:
        return _without(weight, self.inward, self.outward)

    @override
    def transposed_times(self, weight: Tensor) -> Tensor:
        return _without(weight, self.outward, self.inward)


def _without(weight: Tensor, read: Tensor, taken: Tensor) -> Tensor:
    exact = weight.double()
    read, taken = read.to(exact), taken.to(exact)
    return (exact - taken.T @ (read @ exact)).to(weight.dtype)
