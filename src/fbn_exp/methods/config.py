"""Options of the config group ``method``."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from fbn_exp.core.checks import (
    require,
    require_at_least,
    require_choice,
    require_count,
    require_positive,
    require_seed,
)
from fbn_exp.core.errors import MethodError

# value of n_components for which the signals decide
AUTO = "auto"

# starts that run if their number is not given
MOST_STARTS = 40
FEWEST_STARTS = 3
STARTS_TIMES_SOURCES = 800


class Solver(StrEnum):
    """Optimiser of ICA's objective: quasi-Newton (Ablin, Cardoso & Gramfort 2018), or fixed point."""

    picard = "picard"
    fastica = "fastica"


class Contrast(StrEnum):
    """Approximation of negentropy that ICA optimises (Hyvärinen & Oja 2000, section 4.3)."""

    logcosh = "logcosh"
    exp = "exp"
    cube = "cube"


class Independence(StrEnum):
    """Axis along which components are made independent: time courses or maps."""

    temporal = "temporal"
    spatial = "spatial"


class Criterion(StrEnum):
    """Criterion for the number of components: minimum description length, or Laplace's evidence."""

    mdl = "mdl"
    laplace = "laplace"


@dataclass
class MethodConfig:
    """A decomposition of signals into networks.

    Attributes
    ----------
    n_components : int or "auto"
        Number of networks K; ``auto`` takes the number that ``order`` prefers in the signals.
    seed : int
        Seed of every random choice; global generators are left alone.
    per_block : bool
        Decompose every block separately, into ``n_components`` networks per block.
    order : Criterion
        With ``n_components=auto``: ``mdl``, minimum description length (Wax & Kailath 1985), or ``laplace``,
        Laplace's approximation of the evidence (Minka 2000; Beckmann & Smith 2004).
    largest_order : int
        With ``n_components=auto``: largest number of networks considered.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    _target_: str = field(default=MISSING, kw_only=True, repr=False)
    # an int or AUTO: omegaconf fails with an AssertionError where a value does not fit a union
    n_components: Any = 10
    seed: int = 0
    per_block: bool = False
    order: Criterion = field(default=Criterion.mdl, kw_only=True)
    largest_order: int = field(default=100, kw_only=True)

    def __post_init__(self) -> None:
        if self.n_components != AUTO:
            whole = isinstance(self.n_components, int) and not isinstance(self.n_components, bool)
            rule = f"be a whole number or {AUTO}"
            require(whole, "method.n_components", repr(self.n_components), rule)
            require_count("method.n_components", self.n_components)
        require_seed("method.seed", self.seed)
        self.order = require_choice(Criterion, "method.order", self.order)
        require_count("method.largest_order", self.largest_order)

    @property
    def compared_labels(self) -> tuple[str, ...]:
        """Labels of the texts that the method compares; empty for a method that takes all texts alike."""
        return ()

    @property
    def count(self) -> int:
        """Number of networks.

        Raises
        ------
        MethodError
            If the signals have to decide first: see ``Decomposition.resolved``.
        """
        if isinstance(self.n_components, int):
            return self.n_components
        raise MethodError("method.n_components is auto, which only signals can decide")


@dataclass(kw_only=True)
class StartsConfig(MethodConfig):
    """Independent component analysis from many random starts.

    Attributes
    ----------
    solver : Solver
        ``picard``: quasi-Newton iterations, which converge. ``fastica``: the paper's fixed point, as it is,
        with its own rule of convergence; it often stops far from an optimum, as its ``gradient`` shows.
    tolerance : float
        Convergence of either solver: largest entry of the skew part of the relative gradient, 0 at an
        optimum. Picard goes on until it is met; FastICA stops by its own rule, and a run says if above it.
    fastica_tolerance : float
        FastICA's own rule to stop: largest 1 − |cosine| between the rows of two successive rotations.
    max_iterations : int
        Largest number of iterations of a start.
    max_starts : int or null
        Largest number of random starts. Up to 20 components all of them run, at once; for more, batches run
        until the best optimum has come back ``recurrences`` times. Null: 40, and beyond 20 components fewer
        in proportion (12 for 64 components), at least 3.
    recurrences : int
        Number of starts that have to reach the best optimum, beyond 20 components.
    """

    solver: Solver = Solver.picard
    tolerance: float = 1e-7
    fastica_tolerance: float = 1e-4
    max_iterations: int = 400
    max_starts: int | None = None
    recurrences: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.solver = require_choice(Solver, "method.solver", self.solver)
        for name in ("tolerance", "fastica_tolerance"):
            value = getattr(self, name)
            require_positive(f"method.{name}", value)
            require(value < 1, f"method.{name}", value, "be below 1")
        require_count("method.max_iterations", self.max_iterations)
        if self.max_starts is not None:
            require_count("method.max_starts", self.max_starts)
        require_count("method.recurrences", self.recurrences)

    def most_starts(self, n_sources: int) -> int:
        """Return the largest number of starts for so many sources."""
        if self.max_starts is not None:
            return self.max_starts
        return max(FEWEST_STARTS, min(MOST_STARTS, STARTS_TIMES_SOURCES // n_sources))


@dataclass(kw_only=True)
class ICAConfig(StartsConfig):
    """Independent component analysis in the principal subspace.

    Attributes
    ----------
    contrast : Contrast
        Approximation of negentropy.
    independence : Independence
        ``temporal``, as in the paper: tokens are samples, time courses are maximally independent, maps are
        unconstrained. ``spatial``, as usual in fMRI (McKeown et al. 1998): neurons are samples, maps are
        maximally independent, time courses are in general correlated.
    """

    _target_: str = field(default="fbn_exp.methods.ica.ICA", kw_only=True, repr=False)
    contrast: Contrast = Contrast.logcosh
    independence: Independence = Independence.temporal

    def __post_init__(self) -> None:
        super().__post_init__()
        self.contrast = require_choice(Contrast, "method.contrast", self.contrast)
        self.independence = require_choice(Independence, "method.independence", self.independence)


@dataclass(kw_only=True)
class CanICAConfig(StartsConfig):
    """Spatially independent components of the patterns that recur across texts.

    Attributes
    ----------
    cca : bool
        Canonical correlation analysis across texts: loadings are stacked with norm 1, so that recurring
        patterns lead. If false, they are scaled by their singular values, so that strong patterns lead.
    """

    _target_: str = field(default="fbn_exp.methods.canica.CanICA", kw_only=True, repr=False)
    cca: bool = True


@dataclass(kw_only=True)
class DictionaryConfig(MethodConfig):
    """Sparse dictionary learning, online solver.

    Attributes
    ----------
    alpha : float
        L1 penalty in units of the median norm over neurons that are not silent, which makes it independent
        of the signals' scale. A neuron with a norm below alpha has weight 0 in every network.
    tolerance : float
        Mean change of an atom in one step below which the solver stops, after the first pass.
    epochs : int
        Largest number of passes over all neurons.
    batch_size : int
        Number of neurons in a step of the solver.
    """

    _target_: str = field(default="fbn_exp.methods.dictionary.DictionaryLearning", kw_only=True, repr=False)
    alpha: float = 1.0
    tolerance: float = 1e-4
    epochs: int = 5
    batch_size: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("method.alpha", self.alpha)
        require_positive("method.tolerance", self.tolerance)
        require_count("method.epochs", self.epochs)
        require_count("method.batch_size", self.batch_size)


@dataclass(kw_only=True)
class SAEConfig(MethodConfig):
    """TopK sparse autoencoder; K is its number of latents, which may exceed the rank of the signals.

    Attributes
    ----------
    active : int or null
        Largest number of latents that are not 0 at a token. Null: an eighth of them, at least 2.
    components : int or null
        Principal components of the signals that it is trained on. Null: four times the latents, at least 64.
    steps : int
        Number of steps of Adam.
    batch_size : int
        Number of tokens in a step.
    learning_rate : float
        Step size of Adam; it falls to 0 in the last fifth of the steps.
    auxiliary : float
        Weight of the loss that revives dead latents; 0 leaves it out.
    held_out : float
        Share of the texts, at their end, that are not trained on but judged.
    """

    _target_: str = field(default="fbn_exp.methods.sae.SparseAutoencoder", kw_only=True, repr=False)
    active: int | None = None
    components: int | None = None
    steps: int = 1000
    batch_size: int = 512
    learning_rate: float = 3e-3
    auxiliary: float = 1 / 32
    held_out: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("active", "components", "steps", "batch_size"):
            require_count(f"method.{name}", getattr(self, name))
        if self.active is not None and self.n_components != AUTO:
            rule = f"be at most method.n_components, {self.n_components}"
            require(self.active <= self.count, "method.active", self.active, rule)
        require_positive("method.learning_rate", self.learning_rate)
        require_at_least("method.auxiliary", self.auxiliary, 0)
        require(0 <= self.held_out < 1, "method.held_out", self.held_out, "be at least 0 and below 1")

    @property
    def most_active(self) -> int:
        """Largest number of latents that are not 0 at a token."""
        return max(2, self.count // 8) if self.active is None else self.active

    @property
    def most_components(self) -> int:
        """Largest number of principal components that it is trained on."""
        return max(64, 4 * self.count) if self.components is None else self.components


@dataclass
class PCAConfig(MethodConfig):
    """Principal components: the subspace of ICA without the rotation."""

    _target_: str = field(default="fbn_exp.methods.pca.PCA", kw_only=True, repr=False)


@dataclass
class RandomConfig(MethodConfig):
    """A random rotation of the principal subspace: ICA with a rotation that is not learned."""

    _target_: str = field(default="fbn_exp.methods.random.RandomRotation", kw_only=True, repr=False)
