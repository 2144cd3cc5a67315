"""Batches of texts of similar length, padded on the right."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fbn_exp.core.errors import ConfigError


def length_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Group texts by length, the longest first, so that a lack of memory shows at once.

    Parameters
    ----------
    lengths : sequence of int
        Number of tokens of each text.
    batch_tokens : int
        Largest number of tokens in a batch, padding included. A longer text is a batch by itself.

    Returns
    -------
    list of list of int
        Indices into ``lengths``; each index occurs exactly once.

    Raises
    ------
    ConfigError
        If ``batch_tokens`` is below 1.
    """
    if batch_tokens < 1:
        raise ConfigError(f"batch_tokens: {batch_tokens} is out of range; accepted: an integer of at least 1")
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        stop = start + max(1, batch_tokens // longest)
        batches.append(order[start:stop])
        start = stop
    return batches


def pad(ids: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Combine the token ids of a batch in one tensor, padded on the right.

    Parameters
    ----------
    ids : sequence of sequences of int
        Token ids of each text.
    pad_id : int
        Value of the padding; may be the id of a real token, since the mask is made from lengths.

    Returns
    -------
    input_ids, attention_mask : Tensor of shape (texts, longest), int64
        The mask is 1 at tokens and 0 at padding.
    """
    longest = max((len(row) for row in ids), default=0)
    input_ids = torch.full((len(ids), longest), pad_id, dtype=torch.int64)
    attention_mask = torch.zeros((len(ids), longest), dtype=torch.int64)
    for index, row in enumerate(ids):
        input_ids[index, : len(row)] = torch.as_tensor(row, dtype=torch.int64)
        attention_mask[index, : len(row)] = 1
    return input_ids, attention_mask
