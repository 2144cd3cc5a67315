"""Split-half reliability: agreement of the networks of two halves of the texts."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Decomposition
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import partners
from fbn_exp.reliability.runs import unit_maps


@dataclass(frozen=True, eq=False)
class SplitHalf:
    """Agreement of the networks of two halves of the texts.

    Attributes
    ----------
    correlation : Tensor of shape (K,)
        |r| over neurons between the two halves' versions of each network.
    overlap : Tensor of shape (K,)
        Intersection over union of their masks.
    cosines : Tensor of shape (K,)
        Cosines of the principal angles between the subspaces that the halves' maps span, in decreasing order.
    """

    correlation: Tensor
    overlap: Tensor
    cosines: Tensor

    def statistics(self) -> dict[str, Tensor]:
        """Statistics per network, by their names in the report."""
        return {"split_half": self.correlation, "split_half_overlap": self.overlap}

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
    maps: Tensor,
    members: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> SplitHalf:
    """Extract networks from two random halves of the texts, and compare them.

    The networks of either half are matched one to one to the reported ones (Hungarian method, |r|).
    The value reported for a network is the agreement of its two matches with each other: these share no
    text, whereas the reported network was fitted to both halves. Matches take the sign of the reported
    network before masks are compared, since the peak that fixes a sign may differ between halves.

    Parameters
    ----------
    method : Decomposition
        Copied and fitted to each half in full; the rows of a half are copied, one half at a time.
    signals : Tensor of shape (T, N), float32
        Not changed.
    rows : Rows
        Text of each token, at least two texts.
    maps : Tensor of shape (K, N)
        Reported networks, each with a positive peak.
    members : callable
        Rule of membership, from maps (K, N) to masks (K, N).
    generator : Generator
        Source of the halves.

    Raises
    ------
    MethodError
        If a half holds fewer independent tokens than components.
    """
    order = rows.present[torch.randperm(len(rows.present), generator=generator).numpy()]
    first, second = (
        _half(method, signals, rows, sorted(chosen.tolist())) for chosen in np.split(order, [len(order) // 2])
    )
    first, second = (aligned(half[match(maps, half)], maps) for half in (first, second))
    return SplitHalf(
        (unit_maps(first.double()) * unit_maps(second.double())).sum(dim=1).abs(),
        intersection_over_union(members(first), members(second)).diagonal(),
        subspace_cosines(first, second),
    )


def _half(method: Decomposition, signals: Tensor, rows: Rows, chosen: list[int]) -> Tensor:
    chosen_rows = torch.from_numpy(rows.of_texts(chosen)).to(signals.device)
    try:
        return replace(method).fit(signals[chosen_rows], rows.subset(chosen)).maps_
    except MethodError as error:
        raise MethodError(f"in one half of the texts, for the split-half reliability: {error}") from error


def aligned(maps: Tensor, reference: Tensor) -> Tensor:
    """Maps (K, N) with the signs that correlate positively with the reference, (K, N) or (1, N)."""
    sign = (unit_maps(maps) * unit_maps(reference)).sum(dim=1, keepdim=True).sign()
    # a map that correlates with nothing keeps its sign
    return maps * torch.where(sign == 0, 1.0, sign)


def match(maps: Tensor, others: Tensor) -> Tensor:
    """Index of the map among ``others`` (K, N) that is matched one to one to each map by |r|, shape (K,)."""
    table = (unit_maps(maps) @ unit_maps(others).T).abs()
    return torch.from_numpy(partners(table.numpy()))


def subspace_cosines(maps: Tensor, others: Tensor) -> Tensor:
    """Cosines of the principal angles between the row spaces of maps (K, N), in decreasing order."""
    first, second = (torch.linalg.qr(half.double().T).Q for half in (maps, others))
    return torch.linalg.svdvals(first.T @ second).clamp_max(1)
