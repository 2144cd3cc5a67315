"""Sizes, overlap and places of networks, as numbers and as a table."""

import pandas as pd
import torch
from torch import Tensor

from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import block_shares, intersection_over_union


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


def network_table(networks: FunctionalNetworks, masks: Tensor) -> pd.DataFrame:
    """One row per network: size, statistics, where its neurons are."""
    shares = block_shares(masks, networks.layout)
    main = shares.argmax(dim=1)
    table = pd.DataFrame(
        {
            "network": range(len(networks)),
            "size": masks.sum(dim=1).tolist(),
            "share_of_neurons": masks.double().mean(dim=1).tolist(),
            **networks.statistics,
            "main_block": main.tolist(),
            "share_in_main_block": shares.gather(1, main[:, None])[:, 0].tolist(),
            "blocks_reached": (shares > 0).sum(dim=1).tolist(),
        }
    )
    return table.join(pd.DataFrame(shares.numpy()).add_prefix("share_in_block_"))
