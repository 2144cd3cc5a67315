"""How an iterative fit ended."""

from dataclasses import dataclass
from enum import StrEnum


class StartScore(StrEnum):
    """What starts are compared by: larger negentropy, or a smaller L1 norm of the least sparse map."""

    negentropy = "negentropy"
    largest_l1 = "largest_l1"


@dataclass(frozen=True)
class Starts:
    """Random starts of a fit, and how often its optimum came back.

    Attributes
    ----------
    run, converged : int
        Number of starts, and of those that converged: whose gradient is below the tolerance.
    best : int
        Number of random starts that reached the optimum that was kept; 0 if none did, and it was found
        beside the best one that they reached.
    gap : float or None
        How much worse the next optimum scores, as a share of the best score; None if there is none.
    tied : bool
        True if the next optimum scores the same to within rounding.
    score : StartScore
        What the optima are compared by.
    """

    run: int
    converged: int
    best: int
    gap: float | None
    tied: bool
    score: StartScore = StartScore.negentropy


@dataclass(frozen=True)
class Convergence:
    """Convergence of an iterative fit.

    Attributes
    ----------
    converged : bool
        True if the fit met its tolerance; of independent components, if the gradient is below it.
    n_iterations : int
        Number of iterations until it converged or was stopped.
    gradient : float or None
        Largest entry of the skew part of the relative gradient, 0 at an optimum, if it is measured.
    limit : str
        Full name of the setting that limits the iterations.
    starts : Starts or None
        The random starts, for methods that take the best of several.
    own_rule : float or None
        The tolerance that the gradient is above, if the solver (FastICA) stopped by a rule of its own.
    """

    converged: bool
    n_iterations: int
    gradient: float | None = None
    limit: str = "method.max_iterations"
    starts: Starts | None = None
    own_rule: float | None = None
