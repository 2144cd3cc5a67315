"""Signals of texts under conditions, some of whose neurons have another mean in one of them."""

import numpy as np
import torch
from torch import Tensor

from fbn_exp.core.rows import Rows


def plant_conditions(
    conditions: dict[str, int], n_neurons: int, effect: dict[str, slice], size: float = 1.0, seed: int = 0
) -> tuple[Tensor, Rows]:
    """Noise of 3 to 8 tokens for each text; neurons of ``effect`` are higher by ``size`` in a condition.

    A text has an offset of its own in every neuron, as large as the noise of a token.
    """
    rng = np.random.default_rng(seed)
    labels = [label for label, count in conditions.items() for _ in range(count)]
    lengths = rng.integers(3, 9, len(labels)).tolist()
    parts = []
    for label, length in zip(labels, lengths, strict=True):
        part = rng.standard_normal((length, n_neurons)) + rng.standard_normal(n_neurons)
        if label in effect:
            part[:, effect[label]] += size
        parts.append(part)
    return torch.from_numpy(np.concatenate(parts)).float(), Rows(lengths, 1, labels)
