"""What every decomposition shares: checks of its input, order and sign of its networks."""

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from fbn_exp.errors import ConfigError, MethodError
from fbn_exp.subspace import Subspace, leading_subspace


class Decomposition(ABC):
    """A decomposition signals ≈ time_courses_ · maps_ + mean.

    Networks are ordered by the variance that they explain. The sign of each is fixed by its peak: the
    weight of largest magnitude is positive (nilearn's rule), and the time course follows.

    Parameters
    ----------
    n_components : int
        Number of networks K.
    seed : int
        Seed of every random choice; no global generator is touched.

    Attributes
    ----------
    maps_ : Tensor of shape (K, N), float32
        Row k is the spatial pattern of network k, in units of the signal.
    time_courses_ : Tensor of shape (T, K), float64
        Unit variance over tokens.
    explained_variance_ratio_ : Tensor of shape (K,), float64
        Share of the signals' variance that each network accounts for.
    metrics_ : dict of str to float
        What the method reports of its fit, such as iterations and convergence.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    maps_: Tensor
    time_courses_: Tensor
    explained_variance_ratio_: Tensor
    metrics_: dict[str, float]

    def __init__(self, n_components: int, seed: int = 0) -> None:
        if n_components < 1:
            raise ConfigError(f"method.n_components is {n_components}, must be at least 1")
        self.n_components = n_components
        self.seed = seed

    def fit(self, signals: Tensor) -> Self:
        """Decompose signals of shape (T, N), float32; they are not changed.

        Raises
        ------
        MethodError
            If they hold a value that is not finite, or fewer independent tokens or neurons than K.
        """
        n_tokens, n_neurons = self._check(signals)
        generator = torch.Generator().manual_seed(self.seed)
        subspace = leading_subspace(signals, self.n_components, generator)
        if subspace.rank < self.n_components:
            raise MethodError(
                f"method.n_components is {self.n_components}, but signals of {n_tokens:,} tokens × "
                f"{n_neurons:,} neurons have rank {subspace.rank}: take fewer components, or more and more "
                "varied text (dataset.n_texts)"
            )
        self.metrics_ = {}
        rotation = self._rotation(subspace, generator)
        maps = subspace.unwhitened(rotation)
        energy = maps.double().square().sum(dim=1)
        order = energy.argsort(descending=True)
        peak = maps.abs().argmax(dim=1, keepdim=True)
        sign = maps.gather(1, peak).sign()
        self.maps_ = (maps * sign)[order]
        self.time_courses_ = (subspace.whitened() @ rotation.T * sign.T.double())[:, order]
        self.explained_variance_ratio_ = energy[order] * n_tokens / subspace.total_energy
        self._arrange(order)
        return self

    @abstractmethod
    def _rotation(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        """Orthogonal matrix (K, K), float64, that turns whitened scores into sources."""

    def _arrange(self, order: Tensor) -> None:  # noqa: B027 - nothing to arrange is the common case
        """Put learned values other than maps and time courses in the order of the networks."""

    def _check(self, signals: Tensor) -> tuple[int, int]:
        if signals.ndim != 2:
            raise MethodError(f"signals have shape {tuple(signals.shape)}, need (tokens, neurons)")
        # centring costs one degree of freedom
        most = max(0, min(signals.shape[0] - 1, signals.shape[1]))
        if self.n_components > most:
            raise MethodError(
                f"method.n_components is {self.n_components}, but signals of {signals.shape[0]:,} tokens × "
                f"{signals.shape[1]:,} neurons hold at most {most} components: take fewer, or more text "
                "(dataset.n_texts, dataset.tokens_per_text)"
            )
        return signals.shape[0], signals.shape[1]
