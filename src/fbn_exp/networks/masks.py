"""Masks of networks: size, distribution over blocks, overlap."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import pandas as pd
import torch
from torch import Tensor

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.thresholds.base import Tails


class Direction(StrEnum):
    """Direction of the activity of a network's members, at some tokens."""

    up = "up"
    down = "down"
    both = "up and down"
    none = ""

    def at(self, strength: float) -> "Direction":
        """Direction where the time course has this value; the direction itself is that where it is positive.

        A strength of 0 stands for tokens at which the time course is now high and now low.
        """
        if self in (Direction.none, Direction.both) or strength > 0:
            return self
        if strength == 0:
            return Direction.both
        return Direction.down if self is Direction.up else Direction.up


def directions(masks: Tensor, maps: Tensor) -> list[Direction]:
    """Directions of the members (K, N) of each network if its time course rises: signs of their weights."""
    rise, fall = (masks & (maps > 0)).any(dim=1).tolist(), (masks & (maps < 0)).any(dim=1).tolist()
    words = {
        (True, True): Direction.both,
        (True, False): Direction.up,
        (False, True): Direction.down,
        (False, False): Direction.none,
    }
    return [words[signs] for signs in zip(rise, fall, strict=True)]


def block_shares(masks: Tensor, layout: NeuronLayout) -> Tensor:
    """Share of each network's neurons in each block, shape (K, blocks); an empty network has all 0."""
    counts = torch.stack([masks[:, block.columns].sum(dim=1) for block in layout.blocks], dim=1).double()
    return counts / counts.sum(dim=1, keepdim=True).clamp_min(1)


def intersection_over_union(masks: Tensor, others: Tensor) -> Tensor:
    """Jaccard index of every pair of masks (K, N) and (L, N), shape (K, L); two empty masks have 0."""
    first, second = masks.double(), others.double()
    shared = first @ second.T
    union = first.sum(dim=1)[:, None] + second.sum(dim=1)[None, :] - shared
    return shared / union.clamp_min(1)


def network_table(
    masks: Tensor,
    maps: Tensor,
    layout: NeuronLayout,
    statistics: Mapping[str, Sequence[float]],
    tails: Tails | None = None,
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Table with one row per network: size, statistics, share of its neurons in each block.

    ``members_up`` and ``members_down`` count the members with a positive and with a negative weight, which go
    up and down where the time course is high. ``positive_tail`` and ``negative_tail`` are the shares of the
    neurons in the tails of the map, where the rule of membership looks for tails.
    """
    shares = block_shares(masks, layout)
    main = shares.argmax(dim=1)
    table = pd.DataFrame(
        {
            "network": range(len(masks)),
            **({} if names is None else {"name": names}),
            "size": masks.sum(dim=1).tolist(),
            "members_up": (masks & (maps > 0)).sum(dim=1).tolist(),
            "members_down": (masks & (maps < 0)).sum(dim=1).tolist(),
            "share_of_neurons": masks.double().mean(dim=1).tolist(),
            **_tail_columns(tails),
            **statistics,
            "main_block": main.tolist(),
            "share_in_main_block": shares.gather(1, main[:, None])[:, 0].tolist(),
            "blocks_reached": (shares > 0).sum(dim=1).tolist(),
        }
    )
    return table.join(pd.DataFrame(shares.numpy()).add_prefix("share_in_block_"))


def _tail_columns(tails: Tails | None) -> dict[str, list[float]]:
    if tails is None:
        return {}
    return {"positive_tail": tails.positive.tolist(), "negative_tail": tails.negative.tolist()}
