"""Single fits of a method, from new random starts and to all or to resampled texts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.memmap import transposed_times
from fbn_exp.core.moments import neuron_statistics, row_chunks
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition, SubspaceDecomposition
from fbn_exp.methods.least_squares import least_squares_courses
from fbn_exp.methods.subspace import Subspace

Method = TypeVar("Method", bound=Decomposition)
# a direction of resampled signals below this share of the largest is rounding error
RANK_TOLERANCE = 1e-10
# scikit-learn takes no seeds from here on
SEEDS = 2**31


@dataclass(frozen=True, eq=False)
class Run:
    """Networks of one fit, on the device of the signals or on the CPU.

    Attributes
    ----------
    directions : Tensor of shape (K, D)
        Unit vectors whose products are the correlations of the maps over neurons.
    weights : Tensor of shape (K, D')
        Weights that ``Fits.maps`` turns into maps.
    unmixing : Tensor of shape (K, D') or None
        Weights that ``Fits.components`` turns into time courses.
    converged : bool
        True if the fit converged, and for a method that does not iterate.
    """

    directions: Tensor
    weights: Tensor
    unmixing: Tensor | None
    converged: bool


class Fits(ABC):
    """Fits of one method to one set of signals."""

    method: Decomposition

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def runs(self, resampled: Sequence[bool], generator: torch.Generator, progress: str) -> list[Run]:
        """Fit once for each entry of ``resampled``, each time from a new random start.

        Where the entry is true, the fit is to texts drawn with replacement, as many as there are.

        Raises
        ------
        MethodError
            If resampled texts hold fewer independent tokens than components.
        """
        runs = []
        for resample in tqdm(resampled, desc=progress, unit=" run", leave=False):
            seed = int(torch.randint(SEEDS, (1,), generator=generator))
            drawn = draw_texts(self.rows, generator) if resample else None
            runs.append(self.run(drawn, seed))
        return runs

    @abstractmethod
    def run(self, drawn: list[int] | None, seed: int) -> Run:
        """Fit once, to all tokens or to those of drawn texts."""

    @abstractmethod
    def maps(self, weights: Tensor) -> Tensor:
        """Maps (n, N), float32, of weights (n, D')."""

    @abstractmethod
    def components(self, chosen: Sequence[Run], rows: Sequence[int]) -> Components:
        """Assemble networks from runs: network k is row ``rows[k]`` of run ``chosen[k]``."""

    @abstractmethod
    def explained(self, time_courses: Tensor) -> float:
        """Share of the signals' variance that time courses (T, K) explain together, by least squares."""


class SubspaceFits(Fits):
    """Fits inside one principal subspace: signals are whitened once, runs iterate in K dimensions.

    Resampled texts are rows of the scores, whitened again by the decomposition of a (T', K) matrix. The
    subspace itself is that of all texts; ``split_half`` measures how much it depends on them.
    """

    method: SubspaceDecomposition

    def __init__(self, method: SubspaceDecomposition, subspace: Subspace, rows: Rows) -> None:
        super().__init__(rows)
        self.method = method
        self.subspace = subspace
        self.root = covariance_root(subspace.loadings)

    def with_scores(self, scores: Tensor) -> "SubspaceFits":
        """Copy with other time courses in the same subspace."""
        return SubspaceFits(self.method, replace(self.subspace, scores=scores), self.rows)

    @override
    def run(self, drawn: list[int] | None, seed: int) -> Run:
        subspace, turn = self.subspace, torch.eye(len(self.root), dtype=torch.float64)
        if drawn is not None:
            subspace, turn = resampled_subspace(self.subspace, torch.from_numpy(self.rows.of_texts(drawn)))
        method = one_start(self.method)
        method.metrics_ = {}  # a method without iterations reports no convergence
        mixing = method.mixing(subspace, torch.Generator().manual_seed(seed)).cpu() @ turn.cpu()
        directions = torch.nn.functional.normalize(mixing @ self.root, dim=1)
        return Run(directions, mixing, torch.linalg.inv(mixing).T, converged(method))

    @override
    def maps(self, weights: Tensor) -> Tensor:
        loadings = self.subspace.loadings
        return (weights.float().to(loadings.device) @ loadings).cpu()

    @override
    def components(self, chosen: Sequence[Run], rows: Sequence[int]) -> Components:
        mixing = torch.stack([run.weights[row] for run, row in zip(chosen, rows, strict=True)])
        # each network keeps the time course of the run that it comes from
        unmixing = torch.stack(
            [run.unmixing[row] for run, row in zip(chosen, rows, strict=True) if run.unmixing is not None]
        )
        weighted = self.subspace.scores * self.subspace.singular_values
        courses = weighted @ unmixing.T.to(weighted.device)
        return Components(self.maps(mixing), courses.cpu(), self.subspace.total_energy)

    @override
    def explained(self, time_courses: Tensor) -> float:
        weighted = self.subspace.scores * self.subspace.singular_values
        basis = span(time_courses).to(weighted.device)
        return float((basis.T @ weighted).square().sum()) / self.subspace.total_energy


class WholeFits(Fits):
    """Fits of a method that needs the full signals; a resampled run copies its rows."""

    def __init__(self, method: Decomposition, signals: Tensor, rows: Rows) -> None:
        super().__init__(rows)
        self.method = method
        self.signals = signals

    @cached_property
    def total_energy(self) -> float:
        """Squared Frobenius norm of the centred signals."""
        statistics = neuron_statistics(self.signals)
        return float(statistics.standard_deviation.square().sum()) * len(self.signals)

    @override
    def run(self, drawn: list[int] | None, seed: int) -> Run:
        method = changed(self.method, max_starts=1, seed=seed)
        if drawn is None:
            method.fit(self.signals, self.rows)
        else:
            own = torch.from_numpy(self.rows.of_texts(drawn)).to(self.signals.device)
            method.fit(self.signals[own], self.rows.subset(drawn))
        return Run(unit_maps(method.maps_), method.maps_, None, converged(method))

    @override
    def maps(self, weights: Tensor) -> Tensor:
        return weights

    @override
    def components(self, chosen: Sequence[Run], rows: Sequence[int]) -> Components:
        maps = torch.stack([run.weights[row] for run, row in zip(chosen, rows, strict=True)])
        # the first step of dual regression: time courses of resampled runs are over other tokens
        return Components(maps, least_squares_courses(self.signals, maps), self.total_energy)

    @override
    def explained(self, time_courses: Tensor) -> float:
        # the basis sums to zero over tokens, so the mean of the signals drops out
        basis = span(time_courses).float().to(self.signals.device)
        return float(transposed_times(self.signals, basis).double().square().sum()) / self.total_energy


AnyFits = SubspaceFits | WholeFits


def span(time_courses: Tensor) -> Tensor:
    """Orthonormal basis of the span of time courses (T, K), with fewer columns where they are dependent."""
    left, values, _ = torch.linalg.svd(time_courses, full_matrices=False)
    return left[:, values > RANK_TOLERANCE * values[:1]]


def changed(method: Method, **values: Any) -> Method:
    """Copy of a method, not fitted, with other values for those of the given settings that it has."""
    names = {setting.name for setting in fields(method)}
    return replace(method, **{name: value for name, value in values.items() if name in names})


def one_start(method: Method) -> Method:
    """Copy of a method, not fitted, that uses a single random start per fit."""
    return changed(method, max_starts=1)


def converged(method: Decomposition) -> bool:
    """True if all iterations of a fitted method converged, or if it has none."""
    return all(fit.converged for fit in method.convergence_)


def draw_texts(rows: Rows, generator: torch.Generator) -> list[int]:
    """Bootstrap of texts: as many as have rows, drawn with replacement."""
    n_texts = len(rows.present)
    drawn = torch.randint(n_texts, (n_texts,), generator=generator).numpy()
    return [int(text) for text in rows.present[drawn]]


def resampled_subspace(subspace: Subspace, rows: Tensor) -> tuple[Subspace, Tensor]:
    """Decompose a selection of rows of the signals, with repeats, within the subspace.

    Returns
    -------
    subspace : Subspace
        Decomposition of the projected rows, centred again.
    turn : Tensor of shape (k, k)
        Its loadings are ``turn @ loadings`` of the given one.

    Raises
    ------
    MethodError
        If the rows do not span the subspace.
    """
    weighted = (subspace.scores * subspace.singular_values)[rows.to(subspace.scores.device)]
    weighted -= weighted.mean(dim=0)
    scores, values, turn = torch.linalg.svd(weighted, full_matrices=False)
    n_components = len(subspace.singular_values)
    rank = int((values > RANK_TOLERANCE * values[:1]).sum())
    if rank < n_components:
        raise MethodError(
            f"resampled texts hold {rank} independent tokens for {n_components} components: take more text "
            "(dataset.n_texts), fewer components (method.n_components), or reliability.resample=starts"
        )
    loadings = turn.float() @ subspace.loadings
    return Subspace(scores, values, loadings, float(values.square().sum()), rank), turn


def covariance_root(loadings: Tensor) -> Tensor:
    """Symmetric square root of the loadings' covariance over neurons, times N, shape (k, k), float64.

    Correlations of maps ``mixing @ loadings`` are cosines of the rows of ``mixing @ root``.
    """
    n_components, n_neurons = loadings.shape
    gram = loadings.new_zeros(n_components, n_components, dtype=torch.float64)
    total = loadings.new_zeros(n_components, dtype=torch.float64)
    for chunk in row_chunks(loadings.T):
        exact = chunk.double()
        gram += exact.T @ exact
        total += exact.sum(dim=0)
    values, vectors = torch.linalg.eigh((gram - torch.outer(total, total) / n_neurons).cpu())
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def unit_maps(maps: Tensor) -> Tensor:
    """Maps (n, N), centred over neurons, of norm 1: their products are correlations; a constant map is 0."""
    return torch.nn.functional.normalize(maps - maps.mean(dim=1, keepdim=True), dim=1)
