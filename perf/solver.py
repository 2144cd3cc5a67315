"""Separation of whitened signals: orthogonal Picard, FastICA and python-picard from equal starts, in turn.

python perf/solver.py [--rounds 3]
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import picard as python_picard
import torch
from measure import Cost, Row, matched, median, ratio, save, smollm2_signals, timed
from torch import Tensor

from fbn_exp.methods.config import Contrast
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.solvers.contrasts import negentropy
from fbn_exp.methods.solvers.fastica import fastica
from fbn_exp.methods.solvers.picard import picard
from fbn_exp.methods.solvers.starts import search
from fbn_exp.methods.subspace import leading_subspace

TOLERANCE = 1e-7
Fit = Callable[[Tensor, int], Tensor]


def start(k: int, seed: int) -> Tensor:
    return torch.linalg.qr(
        torch.randn(k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ).Q


def all_starts(whitened: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return search(whitened, ICA(len(whitened)), Contrast.logcosh, generator).best.weights


def three_loose_starts(whitened: Tensor, seed: int) -> Tensor:
    """Version 0.1's default: the best of three starts of at most 400 FastICA iterations, one by one."""
    starts = [start(len(whitened), 3 * seed + index) for index in range(3)]
    found = [fastica(whitened, each[None], Contrast.logcosh, 1e-4, 400).weights[0] for each in starts]
    return max(found, key=lambda weights: float(negentropy(weights @ whitened, Contrast.logcosh).sum()))


def ours(whitened: Tensor, seed: int) -> Tensor:
    return picard(whitened, start(len(whitened), seed)[None], Contrast.logcosh, TOLERANCE, 400).weights[0]


def loose(whitened: Tensor, seed: int) -> Tensor:
    return fastica(whitened, start(len(whitened), seed)[None], Contrast.logcosh, 1e-4, 400).weights[0]


def theirs(whitened: Tensor, seed: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where its line search fails
        _, unmixing, _ = python_picard.picard(
            whitened.numpy(), whiten=False, centering=False, ortho=True, extended=True, max_iter=1_000,
            tol=TOLERANCE, w_init=start(len(whitened), seed).numpy(),
        )  # fmt: skip
    return torch.from_numpy(unmixing)


def gradient(sources: Tensor) -> float:
    """Largest entry of the skew part of the relative gradient, by its definition."""
    g = torch.tanh(sources)
    relative = g @ sources.T / sources.shape[1]
    curvature = (1 - g.square()).mean(dim=1) - relative.diagonal()
    signed = torch.where(curvature < 0, -1.0, 1.0)[:, None] * relative
    return float((signed - signed.T).abs().max() / 2)


@dataclass
class Side:
    """Costs and results of one solver."""

    costs: list[Cost] = field(default_factory=list)
    sources: list[Tensor] = field(default_factory=list)

    def run(self, fit: Fit, whitened: Tensor, seed: int) -> None:
        """Run another round."""
        with timed(self.costs):
            weights = fit(whitened, seed)
        self.sources.append(weights @ whitened)

    def quality(self) -> tuple[float, float]:
        """Largest negentropy, and largest gradient."""
        negentropies = [float(negentropy(each, Contrast.logcosh).sum()) for each in self.sources]
        return max(negentropies), max(gradient(each) for each in self.sources)


def row(what: str, over: Side, under: Side, target: str, same: bool = False) -> Row:
    (negentropy_over, gradient_over), (negentropy_under, gradient_under) = over.quality(), under.quality()
    quality = (
        f"negentropy {negentropy_over:.6f} over {negentropy_under:.6f}; "
        f"gradient {gradient_over:.0e} over {gradient_under:.0e}"
    )
    if same:
        agreement = [matched(a, b).min() for a, b in zip(over.sources, under.sources, strict=True)]
        quality += f"; smallest matched |r| from equal starts {np.median(agreement):.4f} (median of rounds)"
    seconds = f"{median(over.costs).wall:.2f} s over {median(under.costs).wall:.2f} s"
    return Row(what, f"{ratio(over.costs, under.costs)}; {seconds}", target, quality)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    signals = smollm2_signals()
    few, many = (
        leading_subspace(signals, k, torch.Generator().manual_seed(0)).whitened().T.contiguous()
        for k in (10, 64)
    )
    plan = [(all_starts, few), (three_loose_starts, few), (ours, many), (loose, many), (theirs, many)]
    sides = [Side() for _ in plan]
    for seed in range(rounds):
        for side, (fit, whitened) in zip(sides, plan, strict=True):
            side.run(fit, whitened, seed)
            print(f"round {seed}: {fit.__name__} {side.costs[-1].wall:.2f} s", flush=True)
    complete, three, own, fast, reference = sides
    save(
        "solver",
        [
            row("k = 10: all 40 starts over 3 of at most 400 FastICA steps", complete, three, "≤ 1"),
            row("k = 64: a start to 1e-7 over FastICA to 1e-4", own, fast, "≤ 3"),
            row("k = 64: python-picard over ours, both to 1e-7", reference, own, "≥ 5", same=True),
        ],
    )


if __name__ == "__main__":
    main()
