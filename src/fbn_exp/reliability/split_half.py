"""Split-half reliability: agreement of the networks of two halves of the texts, and its null."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Array, Indices, Rows
from fbn_exp.methods.base import Decomposition
from fbn_exp.methods.random import random_rotations
from fbn_exp.methods.spatial import makes_maps_independent
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import aligned, partners, unit_rows
from fbn_exp.networks.surrogates import upper_p_value
from fbn_exp.reliability.runs import SEEDS, AnyFits, fits_of


@dataclass(frozen=True, eq=False)
class SplitHalf:
    """Agreement of the networks of two halves of the texts; medians over the splits.

    Attributes
    ----------
    correlation : Tensor of shape (K,)
        |r| over neurons between the two halves' versions of each network.
    overlap : Tensor of shape (K,)
        Intersection over union of their masks.
    null_mean, null_95 : Tensor of shape (K,)
        Mean and 95th percentile of ``correlation`` under random rotations of both halves' networks.
    p_value : Tensor of shape (K,)
        One-sided p of ``correlation`` under the rotations, not corrected for the number of networks.
    cosines : Tensor of shape (K,)
        Cosines of the principal angles between the subspaces that the halves' maps span, in decreasing order.
    """

    correlation: Tensor
    overlap: Tensor
    null_mean: Tensor
    null_95: Tensor
    p_value: Tensor
    cosines: Tensor

    def statistics(self) -> dict[str, Tensor]:
        """Statistics per network, by their names in the report."""
        return {
            "split_half": self.correlation,
            "split_half_overlap": self.overlap,
            "split_half_null": self.null_mean,
            "split_half_null_95": self.null_95,
            "p_split_half": self.p_value,
        }

    def metrics(self) -> dict[str, float]:
        """Summaries of the subspaces, by their names in the report."""
        return {
            "subspace_cosine_mean": float(self.cosines.mean()),
            "subspace_cosine_smallest": float(self.cosines.min()),
        }


def split_half(
    method: Decomposition,
    signals: Tensor,
    rows: Rows,
    members: Callable[[Tensor], Tensor],
    *,
    splits: int = 1,
    rotations: int = 999,
    seed: int = 0,
) -> SplitHalf:
    """Extract networks from all texts and from random halves of them, and compare the halves.

    Parameters
    ----------
    method : Decomposition
        Copied and fitted in full, with all its starts; its number of components must be a number.
    signals : Tensor of shape (T, N), float32
        Not changed.
    rows : Rows
        Text of each token, at least two texts.
    members : callable
        Rule of membership, from maps (K, N) with a positive skewness to masks (K, N).
    splits : int
        Number of random splits.
    rotations : int
        Number of random rotations of the null.
    seed : int
        Seed of starts, splits and rotations.

    Raises
    ------
    MethodError
        If a half holds fewer independent tokens than components.
    """
    generator = torch.Generator().manual_seed(seed)
    fits = fits_of(method, signals, rows, generator)
    maps = fits.run(method, None, int(torch.randint(SEEDS, (1,), generator=generator))).maps
    return compare_halves(fits, maps, members, splits, rotations, generator)


def compare_halves(
    fits: AnyFits,
    maps: Tensor,
    members: Callable[[Tensor], Tensor],
    splits: int,
    rotations: int,
    generator: torch.Generator,
) -> SplitHalf:
    """Compare the networks of halves of the texts with each other, network by network.

    The networks of either half are matched one to one to the reported ones (Hungarian method, |r|). The value
    for a network is the agreement of its two matches with each other: these share no text, whereas the
    reported network was fitted to both halves. Matches take the sign of the reported network before masks are
    compared, since the skewness that fixes a sign may differ between halves.

    The null asks what halves agree on whatever is done in their subspaces: the independent side of each
    half's networks (time courses of temporal ICA, maps of spatial ICA) is turned by a rotation drawn
    uniformly, and the turned networks are matched and compared like the others, p = (1 + b) / (1 + R). Splits
    share texts, so their p values depend on one another: of several, twice the median is reported, a p value
    under any dependence (Meinshausen, Meier & Bühlmann 2009, eq. 2.2 with γ = .5).

    Parameters
    ----------
    fits : Fits
        Fits to the signals of at least two texts.
    maps : Tensor of shape (K, N)
        Reported networks.
    members : callable
        Rule of membership, from maps (K, N) with a positive skewness to masks (K, N).
    splits, rotations : int
        Number of random splits, and of rotations of each.
    generator : Generator
        Source of splits, starts and rotations.

    Raises
    ------
    MethodError
        If a half holds fewer independent tokens than components.
    """
    reported = maps * fits.method.signs(maps)[:, None]
    compared = [_compare(fits, reported, members, rotations, generator) for _ in range(splits)]
    p = torch.stack([split.p_value for split in compared])
    # the upper of two middle values: half of the p values are at most as large
    together = p[0] if splits == 1 else (2 * p.quantile(0.5, dim=0, interpolation="higher")).clamp_max(1)

    def median(name: str) -> Tensor:
        return torch.stack([getattr(split, name) for split in compared]).quantile(0.5, dim=0)

    return SplitHalf(
        median("correlation"),
        median("overlap"),
        median("null_mean"),
        median("null_95"),
        together,
        median("cosines"),
    )


def _compare(
    fits: AnyFits,
    reported: Tensor,
    members: Callable[[Tensor], Tensor],
    rotations: int,
    generator: torch.Generator,
) -> SplitHalf:
    """Compare the halves of a single split."""
    order = fits.rows.present[torch.randperm(len(fits.rows.present), generator=generator).numpy()]
    halves = [_half(fits, half, generator) for half in np.split(order, [len(order) // 2])]
    turns = Turns.of(halves[0], halves[1], reported, not makes_maps_independent(fits.method))
    straight = torch.eye(len(reported), dtype=torch.float64)
    correlation, chosen = turns.agreement(straight, straight)
    null = np.stack(
        [turns.agreement(*random_rotations(2, len(reported), generator))[0] for _ in range(rotations)]
    )
    first, second = (
        aligned(half[torch.from_numpy(own)], reported) for half, own in zip(halves, chosen, strict=True)
    )
    return SplitHalf(
        torch.from_numpy(correlation),
        intersection_over_union(members(first), members(second)).diagonal(),
        torch.from_numpy(null.mean(axis=0)),
        torch.from_numpy(np.quantile(null, 0.95, axis=0)),
        torch.from_numpy(upper_p_value(correlation, null)),
        subspace_cosines(first, second),
    )


def _half(fits: AnyFits, texts: Indices, generator: torch.Generator) -> Tensor:
    """Maps (K, N) of a half of the texts."""
    seed = int(torch.randint(SEEDS, (1,), generator=generator))
    try:
        return fits.run(fits.method, tuple(sorted(texts.tolist())), seed).maps
    except MethodError as error:
        raise MethodError(f"in one half of the texts, for the split-half reliability: {error}") from error


@dataclass(frozen=True, eq=False)
class Turns:
    """Products of the maps of two halves and of the reported networks: all that rotations need.

    Attributes
    ----------
    inside : tuple of Tensor of shape (K, K)
        Products of each half's maps with themselves.
    reported : tuple of Tensor of shape (K, K)
        Products of each half's maps with the reported ones, of norm 1.
    between : Tensor of shape (K, K)
        Products of the first half's maps with the second's.
    """

    inside: tuple[Tensor, Tensor]
    reported: tuple[Tensor, Tensor]
    between: Tensor

    @classmethod
    def of(cls, first: Tensor, second: Tensor, reported: Tensor, in_units: bool) -> "Turns":
        """Take products of maps (K, N), centred over neurons.

        Maps stay in units of the signal if time courses are independent, and are scaled to norm 1 otherwise:
        either way a rotation keeps the side uncorrelated that the method makes independent.
        """
        a, b = (
            _centred(half if in_units else torch.nn.functional.normalize(half)) for half in (first, second)
        )
        unit = unit_rows(reported.double())
        return cls((a @ a.T, b @ b.T), (a @ unit.T, b @ unit.T), a @ b.T)

    def agreement(self, first: Tensor, second: Tensor) -> tuple[Array, list[Indices]]:
        """|r| (K,) of the matches of each reported network in halves turned by rotations (K, K).

        Also returns the index of the match in each half.
        """
        chosen, norms = [], []
        for turn, own, reported in zip((first, second), self.inside, self.reported, strict=True):
            norm = (turn @ own * turn).sum(dim=1).clamp_min(1e-300).sqrt()
            table = (turn @ reported).abs() / norm[:, None]
            chosen.append(partners(table.T.numpy()))
            norms.append(norm)
        between = (first[chosen[0]] @ self.between * second[chosen[1]]).sum(dim=1).abs()
        r = between / (norms[0][chosen[0]] * norms[1][chosen[1]])
        values: Array = r.numpy()
        return values, chosen


def _centred(maps: Tensor) -> Tensor:
    exact = maps.double()
    return exact - exact.mean(dim=1, keepdim=True)


def subspace_cosines(maps: Tensor, others: Tensor) -> Tensor:
    """Cosines of the principal angles between the row spaces of maps (K, N), in decreasing order."""
    first, second = (torch.linalg.qr(half.double().T).Q for half in (maps, others))
    return torch.linalg.svdvals(first.T @ second).clamp_max(1)
