"""Independent component analysis: the paper's decomposition of signals into networks, or its spatial form."""

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.methods.base import SubspaceDecomposition
from fbn_exp.methods.config import ICAConfig, Independence
from fbn_exp.methods.solvers.contrasts import negentropy
from fbn_exp.methods.solvers.convergence import Convergence, Starts, StartScore
from fbn_exp.methods.solvers.starts import Found, search
from fbn_exp.methods.spatial import NeuronWhitening
from fbn_exp.methods.subspace import Subspace

# fewer samples per component than this are separated by chance (Särelä & Vigário 2003)
SAMPLES_PER_COMPONENT = 2


class ICA(ICAConfig, SubspaceDecomposition):
    """Independent components of token-by-neuron signals (Hyvärinen & Oja 2000; Ablin et al. 2018).

    For spatial independence, maps are centred over neurons for the separation, and reported with their mean,
    so that both kinds of independence explain the same variance.

    Signals are whitened to K dimensions once, for all starts. Starts that reach the same optimum are
    recognised; of the optima that converged starts reached, or of all if none converged, the one with the
    largest negentropy is kept.

    Attributes
    ----------
    maps_, time_courses_, explained_variance_ratio_, explained_variance_, metrics_
        As in ``Decomposition``.
    statistics_ : mapping
        ``other_optima``: in how many of the other good optima (negentropy within 1% of the best; the metric
        ``good_optima`` counts them) a network stands, with |r| > .95 of its time course, or of its map for
        spatial independence.
    negentropy_ : Tensor of shape (K,)
        Negentropy of each network's time course, or of its map for spatial independence.
    n_iterations_ : int
        Number of iterations of the start that was kept.
    converged_ : bool
        True if that start reached an optimum: a gradient below ``tolerance``, whatever the solver's rule.

    Examples
    --------
    >>> ica = fbn.ICA(n_components=3, seed=1)
    >>> networks = fbn.fit(ica, signals)
    >>> ica.converged_
    True
    """

    negentropy_: Tensor
    n_iterations_: int
    converged_: bool

    @override
    def mixing(self, subspace: Subspace, generator: torch.Generator) -> Tensor:
        if self.independence is Independence.temporal:
            return subspace.mixing(self._rotation(subspace.whitened().T.contiguous(), generator))
        whitened = NeuronWhitening.of(subspace.loadings)
        return whitened.mixing(self._rotation(whitened.values, generator))

    def _rotation(self, whitened: Tensor, generator: torch.Generator) -> Tensor:
        """Rotation of whitened samples (L, n) to the most independent sources, from the best start."""
        require_samples(whitened, self.count, self.independence)
        found = search(whitened, self, self.contrast, generator)
        best = found.best
        # constant maps, which come last, have negentropy 0
        constant = self.count - len(whitened)
        negentropies = negentropy(best.weights @ whitened, self.contrast).cpu()
        self.negentropy_ = torch.cat([negentropies, negentropies.new_zeros(constant)])
        self.statistics_ = found.statistics(constant)
        convergence = convergence_of(found)
        self.convergence_ = (convergence,)
        self.converged_, self.n_iterations_ = convergence.converged, convergence.n_iterations
        self.metrics_ = {
            **search_metrics(found),
            "negentropy": float(self.negentropy_.sum()),
            "spatial": float(self.independence is Independence.spatial),
        }
        return best.weights

    @override
    def _arrange(self, order: Tensor) -> None:
        self.negentropy_ = self.negentropy_[order]


def require_samples(whitened: Tensor, n_components: int, independence: Independence) -> None:
    """Refuse fewer samples than twice the components.

    Raises
    ------
    MethodError
        If whitened samples (K, n) are too few.
    """
    n_samples = whitened.shape[1]
    if n_samples >= SAMPLES_PER_COMPONENT * len(whitened):
        return
    samples, more = (
        ("tokens", "more text (dataset.n_texts, dataset.tokens_per_text)")
        if independence is Independence.temporal
        else ("neurons", "a site with more neurons")
    )
    raise MethodError(
        f"method.n_components is {n_components}, but {n_samples:,} {samples} are too few to tell so many "
        f"components apart, which takes at least {SAMPLES_PER_COMPONENT} for each: take fewer components "
        f"(method.n_components), or {more}"
    )


def convergence_of(found: Found, score: StartScore = StartScore.negentropy) -> Convergence:
    """Convergence of the start that was kept, and the numbers of all starts, which ``score`` compares."""
    first = found.best.starts[0]
    starts = Starts(
        run=found.n_random,
        converged=int(found.optimal[: found.n_random].sum()),
        best=found.random_at_best,
        gap=found.gap,
        tied=found.tied,
        score=score,
    )
    return Convergence(
        converged=found.at_optimum,
        n_iterations=int(found.solution.n_iterations[first]),
        gradient=float(found.solution.gradient[first]),
        starts=starts,
        own_rule=found.tolerance if found.best.converged and not found.at_optimum else None,
    )


def search_metrics(found: Found) -> dict[str, float]:
    """Metrics of a search over starts; those of optima only if the kept start is at one."""
    convergence = convergence_of(found)
    starts = convergence.starts
    assert starts is not None
    assert convergence.gradient is not None
    metrics = {
        "converged": float(convergence.converged),
        "starts": float(starts.run),
        "starts_converged": float(starts.converged),
        "starts_failed": float((~found.solution.converged[: found.n_random]).sum()),
        "n_iterations": float(convergence.n_iterations),
        "gradient": convergence.gradient,
    }
    if not convergence.converged:
        return metrics
    metrics |= {
        "starts_at_best": float(starts.best),
        "optima": float(sum(each.converged for each in found.optima)),
        "good_optima": float(len(found.good)),
        "tied": float(starts.tied),
    }
    return metrics if starts.gap is None else {**metrics, "gap": starts.gap}
