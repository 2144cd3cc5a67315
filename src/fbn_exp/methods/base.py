"""Base classes of decompositions: input checks, and order, scale and sign of the networks."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Rows
from fbn_exp.methods.config import AUTO, MethodConfig
from fbn_exp.methods.order import OrderCurve, select_order
from fbn_exp.methods.solvers.convergence import Convergence
from fbn_exp.methods.subspace import Subspace, leading_subspace


@dataclass(frozen=True, eq=False)
class Components:
    """Raw result of a decomposition: signals − mean ≈ time_courses · maps, in any order, sign and scale.

    Attributes
    ----------
    maps : Tensor of shape (K, N), float32
        Spatial patterns.
    time_courses : Tensor of shape (T, K), float64
        Least-squares fit of the signals to the maps, with zero mean over tokens.
    total_energy : float
        Squared Frobenius norm of the centred signals.
    """

    maps: Tensor
    time_courses: Tensor
    total_energy: float


class Decomposition(MethodConfig, ABC):
    """A decomposition signals ≈ time_courses_ · maps_ + mean.

    Networks are ordered by the variance that they explain. The sign of a network is fixed by the
    skewness of its map, which is positive, and the time course follows. ``fit`` ignores
    ``per_block``, since it does not know the layout: ``fbn_exp.methods.per_block.PerBlock`` fits each block.

    Attributes
    ----------
    maps_ : Tensor of shape (K, N), float32
        Row k is the spatial pattern of network k, in units of the signal.
    time_courses_ : Tensor of shape (T, K), float64
        Unit variance over tokens; 0 for a map that is 0.
    explained_variance_ratio_ : Tensor of shape (K,), float64
        Variance of each network's time course times its map, as a share of the signals' variance. The shares
        add up to ``explained_variance_`` if time courses or maps are orthogonal.
    explained_variance_ : float
        Share of the signals' variance that all networks explain together.
    metrics_ : dict of str to float
        Metrics of the fit, such as iterations and convergence.
    convergence_ : tuple of Convergence
        One entry for the fit, or one for the fit of each block; empty for methods without iterations.
    statistics_ : dict of str to Tensor of shape (K,)
        Further statistics of each network that the method provides; empty for most methods.
    block_of_network_ : tuple of int, of length K, or None
        Index of the block that each network is confined to; None for networks of the whole model.
    names_ : tuple of str, of length K, or None
        Name of each network, from methods that are told what to look for.
    orders_ : tuple of OrderCurve
        With ``n_components=auto``: the curve that K comes from, or one for each block.
    """

    maps_: Tensor
    time_courses_: Tensor
    explained_variance_ratio_: Tensor
    explained_variance_: float
    metrics_: dict[str, float]
    convergence_: tuple[Convergence, ...] = ()
    statistics_: Mapping[str, Tensor] = MappingProxyType({})
    block_of_network_: tuple[int, ...] | None = None
    names_: tuple[str, ...] | None = None
    orders_: tuple[OrderCurve, ...] = ()
    # of the signals that decided about K, which other signals do not share
    _known_subspace: "tuple[weakref.ref[Tensor], Subspace] | None" = None

    def resolved(self, signals: Tensor) -> Self:
        """Return a copy with the number of components that signals prefer; itself where it is a number.

        Raises
        ------
        MethodError
            If the signals hold no component.
        """
        if self.n_components != AUTO:
            return self
        self._check_shape(signals)
        curve, subspace = select_order(signals, self.order, self.largest_order, self.seed)
        method = replace(self, n_components=curve.best)
        method.orders_ = (curve,)
        method._known_subspace = (weakref.ref(signals), subspace)
        return method

    def over(self, layout: NeuronLayout) -> "Decomposition":
        """Return the method for neurons of a layout: itself, unless the blocks make a difference to it."""
        return self

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
            If the signals hold a value that is not finite, or fewer independent tokens or neurons than K.
        """
        resolved = self.resolved(signals)
        if resolved is not self:
            learned = vars(resolved.fit(signals, rows))
            vars(self).update({name: value for name, value in learned.items() if name.endswith("_")})
            return self
        if rows is None:
            rows = Rows((len(signals),))
        generator = torch.Generator().manual_seed(self.seed)
        self._learn(self.decompose(signals, rows, generator))
        return self

    def decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        """Compute components without fixing scale, sign and order; sets only metrics and convergence.

        Raises
        ------
        MethodError
            As in ``fit``.
        """
        self._check(signals)
        self.metrics_ = {}
        self.convergence_ = ()
        self.statistics_ = MappingProxyType({})
        components = self._decompose(signals, rows, generator)
        # the components are small, so they are moved to the CPU whatever the signals' device
        return Components(components.maps.cpu(), components.time_courses.cpu(), components.total_energy)

    @abstractmethod
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        """Compute K components."""

    def subspace(self, signals: Tensor, generator: torch.Generator) -> Subspace:
        """Compute the leading K-dimensional principal subspace, unless ``resolved`` has computed it already.

        Raises
        ------
        MethodError
            If the rank of the signals is below K.
        """
        if self._known_subspace is not None and self._known_subspace[0]() is signals:
            return self._known_subspace[1]
        subspace = leading_subspace(signals, self.count, generator)
        require_rank(subspace, self.count, signals)
        return subspace

    def _learn(self, components: Components) -> None:
        """Fix scale, sign and order of components, and store them as fitted attributes."""
        self.explained_variance_ = explained_energy(components) / components.total_energy
        deviation = components.time_courses.square().mean(dim=0).sqrt()
        maps = components.maps * deviation[:, None].float()
        energy = maps.double().square().sum(dim=1)
        order = self._order(energy)
        sign = self.signs(maps)
        self.maps_ = (maps * sign[:, None])[order]
        scale = sign.double() / deviation.clamp_min(1e-300)
        self.time_courses_ = (components.time_courses * scale)[:, order]
        n_tokens = len(components.time_courses)
        self.explained_variance_ratio_ = energy[order] * n_tokens / components.total_energy
        self.statistics_ = {name: values[order] for name, values in self.statistics_.items()}
        self._arrange(order)

    def _order(self, energy: Tensor) -> Tensor:
        """Order of networks whose maps have these squared norms (K,): the largest first."""
        return energy.argsort(descending=True)

    def signs(self, maps: Tensor) -> Tensor:
        """Signs to give to maps (K, N) of a fit, shape (K,): by default their skewness becomes positive."""
        return tail_signs(maps)

    def _arrange(self, order: Tensor) -> None:
        """Reorder fitted attributes other than maps, time courses and ``statistics_``."""

    def _check(self, signals: Tensor) -> None:
        self._check_shape(signals)
        # centring costs one degree of freedom
        self._check_count(signals, max(0, min(signals.shape[0] - 1, signals.shape[1])))

    def _check_count(self, signals: Tensor, most: int) -> None:
        if self.count > most:
            raise MethodError(
                f"method.n_components is {self.count}, but signals of {signals.shape[0]:,} tokens × "
                f"{signals.shape[1]:,} neurons hold at most {most} components: take fewer, or more text "
                "(dataset.n_texts, dataset.tokens_per_text)"
            )

    def _check_shape(self, signals: Tensor) -> None:
        if signals.ndim != 2:
            raise MethodError(f"signals have shape {tuple(signals.shape)}, must be (tokens, neurons)")


class SubspaceDecomposition(Decomposition):
    """A decomposition within the leading K-dimensional principal subspace of the signals.

    With signals − mean ≈ scores · diag(s) · loadings, networks are rows of ``mixing @ loadings`` and
    their time courses columns of ``scores · diag(s) · mixing⁻¹``: a method chooses the mixing matrix.
    """

    @abstractmethod
    def mixing(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        """Compute the invertible matrix (K, K), float64, that turns loadings into maps."""

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        subspace = self.subspace(signals, generator)
        mixing = self.mixing(subspace, generator)
        maps = mixing.float() @ subspace.loadings
        weighted = subspace.scores * subspace.singular_values
        courses = torch.linalg.solve(mixing, weighted, left=False)
        return Components(maps, courses, subspace.total_energy)


def require_rank(subspace: Subspace, n_components: int, signals: Tensor) -> None:
    """Raise a MethodError if the rank of the signals is below the number of components."""
    if subspace.rank < n_components:
        raise MethodError(
            f"method.n_components is {n_components}, but signals of {signals.shape[0]:,} tokens × "
            f"{signals.shape[1]:,} neurons have rank {subspace.rank}: take fewer components, or more and "
            "more varied text (dataset.n_texts)"
        )


def explained_energy(components: Components) -> float:
    """Squared Frobenius norm of time courses times maps, which need not be orthogonal."""
    courses = components.time_courses.T @ components.time_courses
    maps = components.maps.double()
    return float((courses * (maps @ maps.T)).sum())


def skewness(maps: Tensor) -> Tensor:
    """Skewness over the neurons of each of the maps (K, N), shape (K,), float64; 0 if all are equal."""
    return _standardised(maps).pow(3).mean(dim=1)


def skewness_error(maps: Tensor) -> Tensor:
    """Standard error of the skewness of each of the maps (K, N) over N independent neurons, shape (K,).

    The delta method: √(Σψ²) / N with the influence ψ = z³ − g − 3/2 · g · (z² − 1) − 3z of a neuron, z
    standardised over neurons and g the skewness. It holds for weights of any distribution with six moments;
    √(6 / N) holds for normal weights only, and is several times too small for heavy tails.
    """
    z = _standardised(maps)
    g = z.pow(3).mean(dim=1, keepdim=True)
    influence = z.pow(3) - g - 1.5 * g * (z.square() - 1) - 3 * z
    return influence.square().sum(dim=1).sqrt() / maps.shape[1]


def _standardised(maps: Tensor) -> Tensor:
    """Rows of mean 0 and standard deviation 1, float64; a row whose values are all equal is 0."""
    centred = maps.double() - maps.double().mean(dim=1, keepdim=True)
    return centred / centred.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-300)


def tail_signs(maps: Tensor) -> Tensor:
    """Signs, 1 or -1, that give each of the maps (K, N) its heavier tail on the positive side, shape (K,).

    In maps of z-scored signals many neurons decide. The weight of largest magnitude, the rule of nilearn, is
    one neuron: the two ends of such maps differ by less than 1%, and rounding turned them round. In maps of
    raw signals, where one neuron can hold most of the third moment, it is the largest weight again.
    """
    return torch.where(skewness(maps) < 0, -1.0, 1.0).to(maps.dtype)
