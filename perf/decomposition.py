"""Decomposition of real signals into 64 networks, compared with other software; one start each, in turn.

python perf/decomposition.py [--rounds 3] [--authors 1]

Peak memory is the memory used beyond the signals. Round r of every method starts from seed r; quality is that
of the round with the largest negentropy, among as many rounds of ours as the other method ran. Slow methods
run fewer rounds: ``--authors`` for FastICA on the raw signals, one for the exact subspace; the time of each
of their runs is compared with every run of ours.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import picard
import torch
from icalens._fastica import fit_fastica
from measure import Cost, Row, matched, median, peaked, ratio, save, smollm2_signals, timed
from sklearn.decomposition import PCA
from sklearn.decomposition import FastICA as SklearnFastICA
from torch import Tensor

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.solvers.contrasts import negentropy
from fbn_exp.methods.solvers.krylov import KrylovSpace
from fbn_exp.methods.solvers.starts import solve
from fbn_exp.methods.subspace import leading_subspace

K = 64
BLOCK = slice(15 * 576, 16 * 576)
Fit = Callable[[Tensor, int], Tensor]


@dataclass
class Side:
    """Costs and results of one of the compared methods."""

    costs: list[Cost] = field(default_factory=list)
    negentropies: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    sources: list[Tensor] = field(default_factory=list)

    def best(self, rounds: int) -> tuple[float, Tensor]:
        """Return the largest negentropy of the first rounds, and the sources (K, T) that reach it."""
        first = self.negentropies[:rounds]
        return max(first), self.sources[first.index(max(first))]

    def run(self, fit: Fit, signals: Tensor, seed: int) -> None:
        """Run another round."""
        with peaked(self.peaks), timed(self.costs), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # iterations that end before convergence
            sources = fit(signals, seed).double()
        sources -= sources.mean(dim=1, keepdim=True)
        sources /= sources.square().mean(dim=1, keepdim=True).sqrt()
        self.sources.append(sources)
        self.negentropies.append(float(negentropy(sources, Contrast.logcosh).sum()))
        print(f"  {self.costs[-1].wall:.2f} s, negentropy {self.negentropies[-1]:.4f}", flush=True)


def ours(signals: Tensor, seed: int) -> Tensor:
    return ICA(K, seed=seed, max_starts=1).fit(signals).time_courses_.T


def ours_whole(signals: Tensor, seed: int) -> Tensor:
    """The default run: starts until the best optimum has come back, or as many as there may be."""
    return ICA(K, seed=seed).fit(signals).time_courses_.T


def authors(signals: Tensor, seed: int) -> Tensor:
    model = SklearnFastICA(n_components=K, whiten="unit-variance", random_state=seed)
    return torch.from_numpy(model.fit_transform(signals.numpy())).T


def _whitened(signals: Tensor, seed: int) -> np.ndarray:
    pca = PCA(K, svd_solver="randomized", whiten=True, random_state=seed)
    return pca.fit_transform(signals.numpy())


def pipeline(signals: Tensor, seed: int) -> Tensor:
    model = SklearnFastICA(whiten=False, random_state=seed)
    return torch.from_numpy(model.fit_transform(_whitened(signals, seed))).T


def _start(seed: int) -> Tensor:
    return torch.randn(K, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def our_iterations(whitened: Tensor, seed: int) -> Tensor:
    sources = whitened.T.contiguous()
    return solve(sources, _start(seed)[None], ICA(K), Contrast.logcosh).weights[0] @ sources


def sklearn_iterations(whitened: Tensor, seed: int) -> Tensor:
    model = SklearnFastICA(whiten=False, w_init=_start(seed).numpy())
    return torch.from_numpy(model.fit_transform(whitened.numpy())).T


def with_picard(signals: Tensor, seed: int) -> Tensor:
    white = _whitened(signals, seed).T.astype(np.float64)
    _, _, sources = picard.picard(white, whiten=False, ortho=True, random_state=seed, max_iter=200, tol=1e-4)
    return torch.from_numpy(sources)


def with_icalens(signals: Tensor, seed: int) -> Tensor:
    found = fit_fastica(
        signals, n_components=K, random_state=seed, row_normalize=False, objective_every=1_000
    )
    return ((signals - found.center) @ found.components.T).T


def cosine(sources: Tensor, exact: Tensor) -> float:
    """Smallest cosine between the span of sources (K, T) and the exact subspace (T, K)."""
    return float(torch.linalg.svdvals(exact.T @ torch.linalg.qr(sources.T).Q).min())


def compare(what: str, own: Side, other: Side, target: str, exact: Tensor | None) -> Row:
    seconds = f"{median(other.costs).wall:.2f} s, ours {median(own.costs).wall:.2f} s"
    rounds = min(len(own.sources), len(other.sources))
    (reached, theirs), (our_reached, mine) = other.best(rounds), own.best(rounds)
    quality = (
        f"best of {rounds} each: negentropy {reached:.4f}, ours {our_reached:.4f}; median matched |r| "
        f"{np.median(matched(mine, theirs)):.3f}"
    )
    if exact is not None:
        quality += f"; smallest cosine {cosine(theirs, exact):.4f}, ours {cosine(mine, exact):.4f}"
    return Row(
        f"{what}: time over ours",
        f"{ratio(other.costs, own.costs)}; {seconds}",
        target,
        quality,
        f"{max(other.peaks):.2f}, ours {max(own.peaks):.2f}",
    )


def exact_scores(signals: Tensor) -> Tensor:
    """Compute leading left singular vectors of the centred signals, by the T × T Gram matrix in float64."""
    gram = torch.zeros(len(signals), len(signals), dtype=torch.float64)
    for columns in signals.split(1_728, dim=1):
        centred = columns.double()
        centred -= centred.mean(dim=0)
        gram.addmm_(centred, centred.T)
    from scipy.sparse.linalg import eigsh

    return torch.from_numpy(eigsh(gram.numpy(), k=K)[1])


def products(signals: Tensor) -> None:
    """Run only the matrix products of the range finder."""
    space = KrylovSpace.of(K)
    right = torch.randn(signals.shape[1], space.block)
    left = torch.randn(signals.shape[0], space.block)
    for _ in range(space.steps + 1):
        signals @ right
        signals.T @ left


def subspace_rows(signals: Tensor, rounds: int) -> tuple[list[Row], Tensor]:
    """Measure the range finder; return its rows and the exact subspace (T, K)."""
    exact, finder, passes, cosines = [], [], [], []
    exact_peak, peaks, pass_peaks = [], [], []
    with peaked(exact_peak), timed(exact):
        reference = exact_scores(signals)
    for seed in range(rounds):
        with peaked(pass_peaks), timed(passes):
            products(signals)
        with peaked(peaks), timed(finder):
            found = leading_subspace(signals, K, torch.Generator().manual_seed(seed))
        cosines.append(float(torch.linalg.svdvals(reference.T @ found.scores).min()))
    seconds = f"{median(finder).wall:.2f} s"
    rows = [
        Row(
            "range finder over its matrix products",
            f"{ratio(finder, passes)}; {seconds}",
            "≤ 2",
            f"smallest cosine to the exact subspace {min(cosines):.5f} (target > .999)",
            f"{max(peaks):.2f}, products {max(pass_peaks):.2f}",
        ),
        Row(
            "exact subspace (T × T Gram) over range finder",
            f"{ratio(exact, finder)}",
            peak=f"{exact_peak[0]:.2f}, range finder {max(peaks):.2f}",
        ),
    ]
    return rows, reference


@dataclass(frozen=True)
class Comparison:
    """Comparison of another method with ours on the same values."""

    name: str
    own: Fit
    other: Fit
    values: Tensor
    rounds: int
    target: str = ""
    whole: bool = True

    def run(self, sides: dict[str, Side], seed: int) -> None:
        """Run a round of either side that no other comparison on the same values ran."""
        for fit in (self.own, self.other):
            side = sides.setdefault(self.key(fit), Side())
            if seed < self.rounds and len(side.costs) <= seed:
                print(f"round {seed}: {self.key(fit)}", flush=True)
                side.run(fit, self.values, seed)

    def key(self, fit: Fit) -> str:
        """Key of a side, shared by comparisons on the same values."""
        return f"{fit.__name__} of {tuple(self.values.shape)}"

    def row(self, sides: dict[str, Side], exact: Tensor) -> Row:
        """Build the row of results."""
        own, other = sides[self.key(self.own)], sides[self.key(self.other)]
        return compare(self.name, own, other, self.target, exact if self.whole else None)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--authors", type=int, default=1)
    chosen = parser.parse_args()
    signals = smollm2_signals()
    block = signals[:, BLOCK].contiguous()
    ICA(8, max_starts=1).fit(signals[:2_000])
    rows, exact = subspace_rows(signals, chosen.rounds)
    save("decomposition", rows)
    whitened = leading_subspace(signals, K, torch.Generator().manual_seed(0)).whitened()
    plan = [
        Comparison("scikit-learn PCA, then FastICA", ours, pipeline, signals, chosen.rounds, "≥ 3.5"),
        Comparison("scikit-learn PCA, then picard", ours, with_picard, signals, chosen.rounds),
        Comparison(
            "scikit-learn FastICA on our whitened signals, from our starts",
            our_iterations,
            sklearn_iterations,
            whitened,
            chosen.rounds,
        ),
        Comparison("icalens, one block", ours, with_icalens, block, chosen.rounds, whole=False),
    ]
    of_authors = [
        Comparison(
            f"scikit-learn FastICA as the authors call it{what}",
            own,
            authors,
            signals,
            chosen.authors,
            target,
        )
        for what, own, target in (
            (", one start of ours", ours, "≥ 100"),
            (", our whole default run", ours_whole, "≥ 30"),
        )
    ]
    sides: dict[str, Side] = {}
    for seed in range(max(chosen.rounds, chosen.authors)):
        for comparison in (*plan, *of_authors):
            comparison.run(sides, seed)
    save("decomposition", rows + [each.row(sides, exact) for each in plan if each.rounds > 0])
    if chosen.authors > 0:  # in a separate file, as it takes minutes and may be left out
        save("decomposition_authors", [each.row(sides, exact) for each in of_authors])


if __name__ == "__main__":
    main()
