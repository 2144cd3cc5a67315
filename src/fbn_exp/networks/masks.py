"""Masks of networks: where their neurons are, and how far they overlap."""

import torch
from torch import Tensor

from fbn_exp.core.layout import NeuronLayout


def block_shares(masks: Tensor, layout: NeuronLayout) -> Tensor:
    """Share of each network's neurons in each block, shape (K, blocks); an empty network has all 0."""
    counts = torch.stack([masks[:, block.columns].sum(dim=1) for block in layout.blocks], dim=1).double()
    return counts / counts.sum(dim=1, keepdim=True).clamp_min(1)


def mask_metrics(masks: Tensor) -> dict[str, float]:
    """Sizes and overlap of networks with masks (K, N), under the names that every stage logs them by."""
    sizes = masks.sum(dim=1)
    first, second = torch.triu_indices(len(masks), len(masks), offset=1)
    pairs = intersection_over_union(masks, masks)[first, second]
    return {
        "networks": float(len(masks)),
        "networks/union_size": float(masks.any(dim=0).sum()),
        "networks/empty": float((sizes == 0).sum()),
        "networks/smallest_size": float(sizes.min()),
        "networks/mean_size": float(sizes.double().mean()),
        "networks/largest_size": float(sizes.max()),
        "networks/largest_iou": float(pairs.max()) if len(pairs) else 0.0,
        "networks/mean_iou": float(pairs.mean()) if len(pairs) else 0.0,
    }


def intersection_over_union(masks: Tensor, others: Tensor) -> Tensor:
    """Jaccard index of every pair of masks (K, N) and (L, N), shape (K, L); two empty masks have 0."""
    first, second = masks.double(), others.double()
    shared = first @ second.T
    union = first.sum(dim=1)[:, None] + second.sum(dim=1)[None, :] - shared
    return shared / union.clamp_min(1)
