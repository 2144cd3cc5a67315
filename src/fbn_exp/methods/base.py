"""What every decomposition shares: checks of its input, order, scale and sign of its networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.config import MethodConfig
from fbn_exp.methods.subspace import Subspace, leading_subspace


@dataclass(frozen=True, eq=False)
class Components:
    """What a decomposition found: signals − mean ≈ time_courses · maps, in any order, sign and scale.

    Attributes
    ----------
    maps : Tensor of shape (K, N), float32
        Spatial patterns.
    time_courses : Tensor of shape (T, K), float64
        With zero mean over tokens; the least-squares fit of the signals to the maps.
    total_energy : float
        Squared Frobenius norm of the centred signals.
    """

    maps: Tensor
    time_courses: Tensor
    total_energy: float


@dataclass(frozen=True)
class Convergence:
    """How an iterative fit ended.

    Attributes
    ----------
    converged : bool
        Whether it met its tolerance.
    n_iterations : int
        Until then, or until it was stopped.
    last_change : float or None
        What the last iteration still changed, where it is measured.
    limit : str
        Setting that stops it, in full.
    """

    converged: bool
    n_iterations: int
    last_change: float | None = None
    limit: str = "method.max_iterations"


class Decomposition(MethodConfig, ABC):
    """A decomposition signals ≈ time_courses_ · maps_ + mean.

    Networks are ordered by the variance that they explain. The sign of each is fixed by its peak: the
    weight of largest magnitude is positive (nilearn's rule), and the time course follows. The layout, which
    ``per_block`` needs, is known only with the model: ``fit`` takes the signals as one block, and
    ``fbn_exp.methods.per_block.PerBlock`` fits each block.

    Attributes
    ----------
    maps_ : Tensor of shape (K, N), float32
        Row k is the spatial pattern of network k, in units of the signal.
    time_courses_ : Tensor of shape (T, K), float64
        Unit variance over tokens; 0 for a map that is 0.
    explained_variance_ratio_ : Tensor of shape (K,), float64
        Share of the signals' variance that each network's own part, its time course times its map, has.
        The shares add up to ``explained_variance_`` where time courses or maps are orthogonal.
    explained_variance_ : float
        Share of the signals' variance that all networks explain together.
    metrics_ : dict of str to float
        What the method reports of its fit, such as iterations and convergence.
    convergence_ : tuple of Convergence
        Of the fit, or of each block's; empty for methods without iterations.
    statistics_ : dict of str to Tensor of shape (K,)
        Numbers per network that the method knows beside the variance; empty for most.
    block_of_network_ : tuple of int, of length K, or None
        Index of the block that each network was sought in; None for networks of the whole model.
    """

    maps_: Tensor
    time_courses_: Tensor
    explained_variance_ratio_: Tensor
    explained_variance_: float
    metrics_: dict[str, float]
    convergence_: tuple[Convergence, ...] = ()
    statistics_: Mapping[str, Tensor] = MappingProxyType({})
    block_of_network_: tuple[int, ...] | None = None

    def fit(self, signals: Tensor, rows: Rows | None = None) -> Self:
        """Decompose signals.

        Parameters
        ----------
        signals : Tensor of shape (T, N), float32
            Not changed.
        rows : Rows, optional
            Text of each token; None takes all tokens as one text.

        Raises
        ------
        MethodError
            If they hold a value that is not finite, or fewer independent tokens or neurons than K.
        """
        if rows is None:
            rows = Rows((len(signals),))
        generator = torch.Generator().manual_seed(self.seed)
        self._learn(self.decompose(signals, rows, generator))
        return self

    def decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        """Find components, without their scale, sign and order; of what is learned, only metrics are kept.

        Raises
        ------
        MethodError
            As in ``fit``.
        """
        self._check(signals)
        self.metrics_ = {}
        self.convergence_ = ()
        found = self._decompose(signals, rows, generator)
        # wherever the signals are, what is found in them is small
        return Components(found.maps.cpu(), found.time_courses.cpu(), found.total_energy)

    @abstractmethod
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        """Find K components."""

    def _learn(self, found: Components) -> None:
        """Fix scale, sign and order of components, and keep them."""
        self.explained_variance_ = explained_energy(found) / found.total_energy
        deviation = found.time_courses.square().mean(dim=0).sqrt()
        maps = found.maps * deviation[:, None].float()
        energy = maps.double().square().sum(dim=1)
        order = energy.argsort(descending=True)
        sign = peak_signs(maps)
        self.maps_ = (maps * sign[:, None])[order]
        scale = sign.double() / deviation.clamp_min(1e-300)
        self.time_courses_ = (found.time_courses * scale)[:, order]
        self.explained_variance_ratio_ = energy[order] * len(found.time_courses) / found.total_energy
        self._arrange(order)

    def _arrange(self, order: Tensor) -> None:
        """Put learned values other than maps and time courses in the order of the networks."""

    def _check(self, signals: Tensor) -> None:
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


class SubspaceDecomposition(Decomposition):
    """A decomposition inside the leading K-dimensional principal subspace of the signals.

    With signals − mean ≈ scores · diag(s) · loadings, networks are rows of ``mixing @ loadings`` and
    their time courses columns of ``scores · diag(s) · mixing⁻¹``: a method chooses the mixing matrix.
    """

    @abstractmethod
    def mixing(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        """Invertible matrix (K, K), float64, that turns loadings into maps."""

    def subspace(self, signals: Tensor, generator: torch.Generator) -> Subspace:
        """The subspace in which networks are sought; see ``principal_subspace``."""
        return principal_subspace(signals, self.n_components, generator)

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        subspace = self.subspace(signals, generator)
        mixing = self.mixing(subspace, generator)
        maps = mixing.float() @ subspace.loadings
        weighted = subspace.scores * subspace.singular_values
        courses = torch.linalg.solve(mixing, weighted, left=False)
        return Components(maps, courses, subspace.total_energy)


def principal_subspace(signals: Tensor, n_components: int, generator: torch.Generator) -> Subspace:
    """Leading K-dimensional subspace of signals that fill it.

    Raises
    ------
    MethodError
        If the rank of the signals is below K.
    """
    found = leading_subspace(signals, n_components, generator)
    if found.rank < n_components:
        raise MethodError(
            f"method.n_components is {n_components}, but signals of {signals.shape[0]:,} tokens × "
            f"{signals.shape[1]:,} neurons have rank {found.rank}: take fewer components, or more and "
            "more varied text (dataset.n_texts)"
        )
    return found


def explained_energy(found: Components) -> float:
    """Squared Frobenius norm of time courses times maps, whether or not they are orthogonal."""
    courses = found.time_courses.T @ found.time_courses
    maps = found.maps.double()
    return float((courses * (maps @ maps.T)).sum())


def peak_signs(maps: Tensor) -> Tensor:
    """Sign of the weight of largest magnitude of each map (K, N), shape (K,)."""
    peak = maps.abs().argmax(dim=1, keepdim=True)
    return maps.gather(1, peak)[:, 0].sign()
