"""Match two sets of networks one to one (Hungarian method), and measure the similarity of their maps."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fbn_exp.core.rows import Array


def absolute_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """|Pearson r| over neurons between maps (K, N) and (L, N), shape (K, L); 0 for a constant map."""
    return (_standardised(maps) @ _standardised(others).T).abs().clamp_max(1).double()


def _standardised(maps: Tensor) -> Tensor:
    centred = maps - maps.double().mean(dim=1, keepdim=True).float()
    return centred / centred.double().square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-30).float()


def partners(similarity: Array) -> NDArray[np.int64]:
    """Partner of each row of a similarity matrix (K, L) in the best one-to-one matching, shape (K,).

    The assignment with the largest sum (Hungarian method); −1 for rows without a partner where K > L.
    """
    partner = np.full(len(similarity), -1, dtype=np.int64)
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    partner[rows] = columns
    return partner


def matched(similarity: Array) -> Array:
    """Similarity of each row (K, L) to its partner, shape (K,); 0 for rows without a partner."""
    partner = partners(similarity)
    values = np.take_along_axis(similarity, np.maximum(partner, 0)[:, None], axis=1)[:, 0]
    return np.where(partner >= 0, values, 0.0)


def unit_rows(values: Tensor) -> Tensor:
    """Rows (n, D), centred, of norm 1: their products are correlations; a constant row is 0."""
    return torch.nn.functional.normalize(values - values.mean(dim=1, keepdim=True), dim=1)


def aligned(maps: Tensor, reference: Tensor) -> Tensor:
    """Maps (K, N) with the signs that correlate positively with the reference, (K, N) or (1, N)."""
    sign = (unit_rows(maps) * unit_rows(reference)).sum(dim=1, keepdim=True).sign()
    # a map that correlates with nothing keeps its sign
    return maps * torch.where(sign == 0, 1.0, sign)
