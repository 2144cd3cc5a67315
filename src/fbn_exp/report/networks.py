"""Sizes, overlap and places of networks, as numbers and as a table."""

import torch
from torch import Tensor

from fbn_exp.networks.masks import intersection_over_union


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
