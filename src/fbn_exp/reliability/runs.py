"""Single fits of a method, from new random starts and to all or to resampled texts."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.core.memmap import copied_rows, transposed_times
from fbn_exp.core.moments import neuron_statistics
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Decomposition, SubspaceDecomposition
from fbn_exp.methods.least_squares import least_squares_courses
from fbn_exp.reliability.resampling import TokenSpace, TokenSpaces, draw_texts

Method = TypeVar("Method", bound=Decomposition)
# a direction of time courses below this share of the largest is rounding error
RANK_TOLERANCE = 1e-10
# scikit-learn takes no seeds from here on
SEEDS = 2**31


@dataclass(frozen=True, eq=False)
class Run:
    """Networks of one fit, on the CPU.

    Attributes
    ----------
    maps : Tensor of shape (K, N), float32
        Spatial patterns, in any order, sign and scale.
    courses : Tensor of shape (T, K), float64
        Time courses over all tokens, also where the fit was to others: the sources, estimated by the fit's
        unmixing, which is the least-squares fit of all signals to the maps. Zero mean.
    converged : bool
        True if the fit converged, and for a method that does not iterate.
    score : float or None
        What starts are compared by, larger is better; None for a method without starts.
    """

    maps: Tensor
    courses: Tensor
    converged: bool
    score: float | None = None


class Fits(ABC):
    """Fits of one method to one set of signals.

    Parameters
    ----------
    method : Decomposition
        Neither fitted nor changed.
    signals : Tensor of shape (T, N), float32
        Not changed.
    rows : Rows
        Text of each token.
    """

    def __init__(self, method: Decomposition, signals: Tensor, rows: Rows) -> None:
        self.method = method
        self.signals = signals
        self.rows = rows

    def draws(self, resampled: Sequence[bool], generator: torch.Generator) -> list[tuple[int, ...] | None]:
        """Draw texts with replacement, as many as there are, for each true entry; None takes all texts."""
        return [tuple(draw_texts(self.rows, generator)) if texts else None for texts in resampled]

    def runs(
        self, draws: Sequence[tuple[int, ...] | None], generator: torch.Generator, progress: str
    ) -> list[Run]:
        """Fit once to the texts of each draw, each time from a single new random start.

        Raises
        ------
        MethodError
            If resampled texts hold fewer independent tokens than components.
        """
        single = one_start(self.method)
        return [
            self.run(single, drawn, int(torch.randint(SEEDS, (1,), generator=generator)))
            for drawn in tqdm(draws, desc=progress, unit=" run", leave=False)
        ]

    @abstractmethod
    def run(self, method: Decomposition, drawn: tuple[int, ...] | None, seed: int) -> Run:
        """Fit a method with these settings once, to all texts or to drawn ones."""

    def explained(self, courses: Tensor) -> float:
        """Share of the signals' variance that time courses (T, K) explain together, by least squares."""
        # the basis sums to zero over tokens, so the mean of the signals drops out
        basis = span(courses).float().to(self.signals.device)
        return float(transposed_times(self.signals, basis).double().square().sum()) / self.total_energy

    @cached_property
    def total_energy(self) -> float:
        """Squared Frobenius norm of the centred signals."""
        statistics = neuron_statistics(self.signals)
        return float(statistics.standard_deviation.square().sum()) * len(self.signals)


class SubspaceFits(Fits):
    """Fits inside principal subspaces: one of all tokens, and one of its own for each draw of texts.

    Parameters
    ----------
    method, signals, rows
        As in ``Fits``.
    spaces : TokenSpaces
        Subspaces of the signals, of at least as many dimensions as the method has components.
    """

    method: SubspaceDecomposition

    def __init__(
        self, method: SubspaceDecomposition, signals: Tensor, rows: Rows, spaces: TokenSpaces
    ) -> None:
        super().__init__(method, signals, rows)
        self.spaces = spaces
        self._drawn: dict[tuple[int, ...], TokenSpace] = {}
        self._turn: Callable[[Tensor], Tensor] | None = None

    def turned(self, turn: Callable[[Tensor], Tensor]) -> "SubspaceFits":
        """Fits to other signals: ``turn`` maps all time courses, and keeps every text's mean and covariance.

        These signals have the same subspaces, also of resampled texts; the subspaces that were computed for
        draws of texts are used again for the same draws.
        """
        other = SubspaceFits(self.method, self.signals, self.rows, self.spaces)
        other._drawn = self._drawn
        other._turn = turn
        return other

    def space(self, drawn: tuple[int, ...] | None) -> TokenSpace:
        """Principal subspace of drawn texts; None stands for all."""
        if drawn is None:
            space = self.spaces.all_tokens(self.method.count)
        else:
            if drawn not in self._drawn:
                tokens = torch.from_numpy(self.rows.of_texts(drawn))
                self._drawn[drawn] = self.spaces.of_rows(tokens, self.method.count)
            space = self._drawn[drawn]
        return space if self._turn is None else replace(space, projected=self._turn(space.projected))

    @override
    def run(self, method: Decomposition, drawn: tuple[int, ...] | None, seed: int) -> Run:
        assert isinstance(method, SubspaceDecomposition)
        method, space = replace(method), self.space(drawn)
        method.metrics_ = {}  # a method without iterations reports no convergence
        mixing = method.mixing(space.subspace(), torch.Generator().manual_seed(seed))
        maps = mixing.float().to(space.loadings.device) @ space.loadings
        courses = torch.linalg.solve(mixing.to(space.projected.device), space.projected, left=False)
        return Run(maps.cpu(), courses.cpu(), converged(method), score(method))


class WholeFits(Fits):
    """Fits of a method that needs the full signals; a resampled run copies its rows."""

    @override
    def run(self, method: Decomposition, drawn: tuple[int, ...] | None, seed: int) -> Run:
        method = replace(method, seed=seed)
        if drawn is None:
            method.fit(self.signals, self.rows)
        else:
            own = torch.from_numpy(self.rows.of_texts(drawn))
            method.fit(copied_rows(self.signals, own), self.rows.subset(drawn))
        courses = least_squares_courses(self.signals, method.maps_)
        return Run(method.maps_, courses.cpu(), converged(method), score(method))


AnyFits = SubspaceFits | WholeFits


def fits_of(method: Decomposition, signals: Tensor, rows: Rows, generator: torch.Generator) -> AnyFits:
    """Fits of a method to signals, inside their principal subspaces where the method allows it."""
    if isinstance(method, SubspaceDecomposition):
        return SubspaceFits(method, signals, rows, TokenSpaces(signals, method.count, generator))
    return WholeFits(method, signals, rows)


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


def score(method: Decomposition) -> float | None:
    """Score of a fitted method by which its starts are compared, larger is better; None if it has none."""
    if "largest_l1" in method.metrics_:
        return -method.metrics_["largest_l1"]
    return method.metrics_.get("negentropy")
