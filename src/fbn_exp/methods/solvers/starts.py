"""Search over random starts: run many, recognise the optima that they share, and choose one."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import MethodError
from fbn_exp.methods.config import Contrast, Solver, StartsConfig
from fbn_exp.methods.solvers.contrasts import negentropy
from fbn_exp.methods.solvers.fastica import Solution, fastica, sources_match
from fbn_exp.methods.solvers.picard import picard
from fbn_exp.methods.solvers.turned import neighbours

# up to so many components all starts run, as one tensor
ALL_STARTS = 20
# the number of starts in a batch, times components, beyond
BATCH_ROWS = 256
# sources of two starts are the same beyond this correlation
SAME_SOURCE = 0.999
# a source of one optimum stands in another beyond this correlation
STANDS = 0.95
# scores differ by less than this share of the best one: rounding
SCORE_ROUNDING = 1e-6
# times that the best optimum is left for a better one beside it
MOST_TURNS = 5
# optima whose score is lower by less than this share are as good as the best: so are all that 40 starts find
# in the signals of SmolLM2-135M, raw or z-scored, with first tokens or without, for 10 and for 64 components
GOOD = 0.01

# weights (K, K) of one start -> how good it is
Score = Callable[[Tensor], float]


@dataclass(frozen=True, eq=False)
class Optimum:
    """A rotation, and the starts that reached it.

    Attributes
    ----------
    weights : Tensor of shape (K, K), float64
        Orthogonal.
    score : float
        How good it is.
    starts : tuple of int
        Starts that reached it, the kept one first; those from ``Found.n_random`` on were not random.
    converged : bool
        True if the kept start met the solver's own rule.
    """

    weights: Tensor
    score: float
    starts: tuple[int, ...]
    converged: bool


@dataclass(frozen=True, eq=False)
class Found:
    """Result of a search.

    Attributes
    ----------
    solution : Solution
        All starts.
    optima : tuple of Optimum
        The chosen one first; then those of converged starts by their score, then those of the others.
    tolerance : float
        Gradient below which a rotation is an optimum, whatever the rule of the solver.
    n_random : int
        Number of random starts; those after them set out from an optimum, and came to a better one.
    """

    solution: Solution
    optima: tuple[Optimum, ...]
    tolerance: float
    n_random: int

    @property
    def best(self) -> Optimum:
        """The chosen optimum."""
        return self.optima[0]

    @property
    def random_at_best(self) -> int:
        """Number of random starts that reached the chosen optimum."""
        return sum(start < self.n_random for start in self.best.starts)

    @property
    def optimal(self) -> Tensor:
        """Flag per start, shape (S,): true where the gradient is below the tolerance."""
        return self.solution.gradient < self.tolerance

    @property
    def at_optimum(self) -> bool:
        """True if the kept start is at an optimum, not where FastICA stopped by its own rule before."""
        return bool(self.optimal[self.best.starts[0]])

    @property
    def gap(self) -> float | None:
        """Difference to the score of the next converged optimum, as a share; None if there is none."""
        others = [each for each in self.optima[1:] if each.converged]
        return _below(self.best, others[0]) if others and self.best.converged else None

    @property
    def tied(self) -> bool:
        """True if the next optimum scores the same to within rounding."""
        return self.gap is not None and abs(self.gap) < SCORE_ROUNDING

    @property
    def good(self) -> list[Optimum]:
        """Other optima of converged starts, as good as the best to within ``GOOD``."""
        return [each for each in self.optima[1:] if each.converged and _below(self.best, each) < GOOD]

    def statistics(self, n_constant: int = 0) -> dict[str, Tensor]:
        """Count the ``good`` optima in which each network stands; empty for a single start, or none at one.

        Networks are the sources of the best optimum, and after them ``n_constant`` constant maps that were
        set aside, which stand in every optimum.
        """
        if len(self.solution.converged) == 1 or not self.at_optimum:
            return {}
        counts = self.best.weights.new_zeros(len(self.best.weights))
        for other in self.good:
            counts += (self.best.weights @ other.weights.T).abs().amax(dim=1) > STANDS
        constant = counts.new_full((n_constant,), len(self.good))
        return {"other_optima": torch.cat([counts, constant]).cpu()}


def _below(best: Optimum, other: Optimum) -> float:
    return (best.score - other.score) / max(abs(best.score), 1e-300)


def search(
    whitened: Tensor,
    config: StartsConfig,
    contrast: Contrast,
    generator: torch.Generator,
    score: Score | None = None,
) -> Found:
    """Run a solver from random starts until the best optimum has come back, and choose.

    Up to ``ALL_STARTS`` components all ``max_starts`` run, as one tensor: near-ties exist, so that the first
    optimum that comes back need not be the best. For more, batches of starts run until the best optimum has
    come back ``recurrences`` times. Then, up to ``ALL_STARTS`` components and with Picard, the best optimum
    is left for a better one among its ``neighbours``, which random starts may have missed.

    Parameters
    ----------
    whitened : Tensor of shape (K, T), float64
        Zero mean, unit variance and no correlation over samples.
    config : StartsConfig
        Solver and numbers of starts.
    contrast : Contrast
        The function G.
    generator : torch.Generator
        Source of the starts.
    score : callable, optional
        Larger is better; the sum of the sources' negentropies if not given.

    Returns
    -------
    Found
        Of optima that score the same to within rounding the one with the larger negentropy by a second
        contrast is chosen, so that the choice does not depend on rounding.

    Raises
    ------
    MethodError
        If all starts diverged.
    """
    beside = score is None and config.solver is Solver.picard and len(whitened) <= ALL_STARTS
    score = score or _total(whitened, contrast)
    runs = _Runs(score)
    _random_starts(runs, whitened, config, contrast, generator)
    n_random = len(runs.scores)
    if beside and n_random > 1:
        _leave_local_optima(runs, whitened, config, contrast)
    second = Contrast.logcosh if contrast is Contrast.cube else Contrast.cube
    chosen = _chosen(runs.optima(), _total(whitened, second))
    return Found(runs.solution, chosen, config.tolerance, n_random)


class _Runs:
    """All starts so far, and their scores."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.scores: list[float] = []
        self._parts: list[Solution] = []

    def add(self, solution: Solution) -> None:
        self.scores += self.scored(solution, solution.finite)
        self._parts.append(solution)

    def scored(self, solution: Solution, usable: Tensor) -> list[float]:
        return [
            self.score(weights) if each else -math.inf
            for weights, each in zip(solution.weights, usable.tolist(), strict=True)
        ]

    @property
    def solution(self) -> Solution:
        return Solution.joined(self._parts)

    def optima(self) -> list[Optimum]:
        return _optima(self.solution, self.scores)


def _random_starts(
    runs: _Runs, whitened: Tensor, config: StartsConfig, contrast: Contrast, generator: torch.Generator
) -> None:
    """Run random starts until there are enough."""
    n_sources = len(whitened)
    most = config.most_starts(n_sources)
    size = most if n_sources <= ALL_STARTS else max(1, BATCH_ROWS // n_sources)
    with tqdm(total=most, desc="ICA starts", unit=" start", leave=False, delay=1) as progress:
        while len(runs.scores) < most:
            count = min(size, most - len(runs.scores))
            start = torch.stack([_random(n_sources, generator) for _ in range(count)]).to(whitened.device)
            runs.add(solve(whitened, start, config, contrast))
            progress.update(count)
            best = runs.optima()[0]
            if n_sources > ALL_STARTS and best.converged and len(best.starts) >= config.recurrences:
                break
    if best.score == -math.inf:
        raise MethodError(
            f"all {len(runs.scores)} starts of ICA diverged, the signals hold values too large or too few: "
            "look at them, or take fewer components (method.n_components)"
        )


def _leave_local_optima(runs: _Runs, whitened: Tensor, config: StartsConfig, contrast: Contrast) -> None:
    """Go on to a better optimum beside the best one, as long as there is one."""
    for _ in range(MOST_TURNS):
        best = runs.optima()[0]
        if not best.converged:
            return
        beside = neighbours(whitened, best.weights, contrast, config.tolerance, config.max_iterations)
        if beside is None:
            return
        scores = runs.scored(beside, beside.converged)
        highest = max(range(len(scores)), key=scores.__getitem__)
        # others are not kept: how often optima come back is said of random starts
        if scores[highest] <= best.score + SCORE_ROUNDING * abs(best.score):
            return
        runs.add(beside.only(highest))


def solve(whitened: Tensor, start: Tensor, config: StartsConfig, contrast: Contrast) -> Solution:
    """Run the solver of a config from given starts (S, K, K)."""
    if config.solver is Solver.fastica:
        return fastica(whitened, start, contrast, config.fastica_tolerance, config.max_iterations)
    return picard(whitened, start, contrast, config.tolerance, config.max_iterations)


def _random(n_sources: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n_sources, n_sources, generator=generator, dtype=torch.float64)


def _total(whitened: Tensor, contrast: Contrast) -> Score:
    return lambda weights: float(negentropy(weights @ whitened, contrast).sum())


def _optima(solution: Solution, scores: list[float]) -> list[Optimum]:
    """Group the starts by their optima, those of converged starts first, then by score."""
    converged = solution.converged.tolist()
    order = sorted(range(len(scores)), key=lambda start: (converged[start], scores[start]), reverse=True)
    groups: list[list[int]] = []
    for start in order:
        for group in groups:
            alike = converged[group[0]] == converged[start]
            if alike and same_sources(solution.weights[group[0]], solution.weights[start]):
                group.append(start)
                break
        else:
            groups.append([start])
    return [
        Optimum(solution.weights[group[0]], scores[group[0]], tuple(group), converged[group[0]])
        for group in groups
    ]


def _chosen(optima: list[Optimum], tie_break: Score) -> tuple[Optimum, ...]:
    """Put the kept optimum first: of those as good to within rounding, the better one by the tie-break."""
    best = optima[0]
    ties = [
        each
        for each in optima
        if each.converged == best.converged and abs(_below(best, each)) < SCORE_ROUNDING
    ]
    if len(ties) > 1:
        best = max(ties, key=lambda each: tie_break(each.weights))
    return (best, *(each for each in optima if each is not best))


def same_sources(weights: Tensor, other: Tensor) -> bool:
    """True if the sources of two rotations match one to one."""
    return bool(sources_match(weights, other, SAME_SOURCE))
