"""Forward passes over rows that share tokens: one pass with a mask, or the trunk's cache for branches."""

import inspect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from fbn_exp.benchmarks.harness.rows import Row

# attention kernels that take any mask: of booleans, and of numbers to be added
BOOLEAN, ADDED = "sdpa", "eager"
FULL, SLIDING, CHUNKED = "full_attention", "sliding_attention", "chunked_attention"


def obstacle_to_packing(model: nn.Module) -> str | None:
    """Say why a model cannot take packed rows, as far as its configuration tells; None if it may."""
    config = text_config(model)
    kernel = getattr(config, "_attn_implementation", None)
    if type(model).__module__.startswith("transformers_modules"):
        return "the code of the model comes with its weights"
    if kernel not in (BOOLEAN, ADDED):
        return f"the attention kernel {kernel} takes no mask of its own"
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return f"{type(model).__name__} takes no positions"
    if getattr(config, "alibi", False):
        return "attention is biased by the distance in the row (alibi)"
    if others := set(getattr(config, "layer_types", None) or ()) - {FULL, SLIDING, CHUNKED}:
        return f"layers of type {', '.join(sorted(others))} take no mask"
    return None


def text_config(model: nn.Module) -> Any:
    """Configuration of a model's language part."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def packed_logits(model: nn.Module, rows: Sequence[Row], device: torch.device) -> Tensor:
    """Logits at the wanted places of each row, shape (places, words).

    Rows are padded on the right with their own first token at position 0, which sees itself alone, as the
    first token of the row does: padding has no activations that the row has not.
    """
    length = max(map(len, rows))
    ids = _padded([row.tokens for row in rows], length, [row.tokens[0] for row in rows], device)
    positions = _padded([row.positions for row in rows], length, [0] * len(rows), device)
    ends = _padded([row.ends for row in rows], length, [0] * len(rows), device)
    logits, _ = logits_at(
        model,
        [(index, place) for index, row in enumerate(rows) for place in row.wanted],
        input_ids=ids,
        position_ids=positions,
        attention_mask=attention_masks(text_config(model), ends, positions, _number_format(model)),
        use_cache=False,
    )
    return logits


def attention_masks(
    config: Any, ends: Tensor, positions: Tensor, dtype: torch.dtype
) -> Tensor | Mapping[str, Tensor]:
    """Mask of packed rows as the layers take it; one for each type of layer where windows matter.

    Parameters
    ----------
    config : PreTrainedConfig
        Tells the attention kernel, the types of layers, and their windows.
    ends, positions : Tensor of shape (B, L)
        See ``Row``.
    dtype : torch.dtype
        Number format of a mask that is added.

    Returns
    -------
    Tensor of shape (B, 1, L, L), or mapping to such tensors by type of layer
        True where a token is seen; for masks that are added 0 there, and the lowest number elsewhere.
    """
    order = torch.arange(ends.shape[1], device=ends.device)
    seen = (order[:, None] >= order) & (order[:, None] < ends[:, None, :])
    seen = seen | torch.eye(len(order), dtype=torch.bool, device=ends.device)
    types = set(getattr(config, "layer_types", None) or ())
    window, chunk = getattr(config, "sliding_window", None), getattr(config, "attention_chunk_size", None)
    longest = int(positions.max()) + 1
    masks = {FULL: seen}
    if window and longest > window and (SLIDING in types or not types):
        masks[SLIDING] = seen & (positions[:, :, None] - positions[:, None, :] < window)
    if chunk and longest > chunk and CHUNKED in types:
        masks[CHUNKED] = seen & (positions[:, :, None] // chunk == positions[:, None, :] // chunk)
    as_taken = {kind: _as_taken(mask, config, dtype) for kind, mask in masks.items()}
    if len(masks) == 1:
        return as_taken[FULL]
    by_type = {kind: as_taken.get(kind, as_taken[FULL]) for kind in types or {SLIDING}}
    # layers that are all alike take the mask itself
    return by_type if len(by_type) > 1 else next(iter(by_type.values()))


def _as_taken(seen: Tensor, config: Any, dtype: torch.dtype) -> Tensor:
    if config._attn_implementation == BOOLEAN:
        return seen[:, None]
    hidden = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=seen.device)
    return torch.where(seen[:, None], torch.zeros_like(hidden), hidden)


def cached_logits(model: nn.Module, rows: Sequence[Row], device: torch.device) -> Tensor:
    """Logits at the wanted places of rows of equal trunks, shape (places, words).

    The trunks pass first; their cache is then repeated for every branch.
    """
    trunk = rows[0].trunk
    ids = torch.tensor([row.tokens[:trunk] for row in rows], device=device)
    branches = [
        (index, sequence[trunk:], path[trunk:])
        for index, row in enumerate(rows)
        for sequence, path in zip(row.sequences, row.paths, strict=True)
        if len(sequence) > trunk
    ]
    wanted = [set(row.wanted) for row in rows]
    in_trunk = [(index, place) for index, row in enumerate(rows) for place in row.wanted if place < trunk]
    # where the logits of each wanted place are, those of both passes put one after the other
    number = {place: n for n, place in enumerate(in_trunk)}
    logits, output = logits_at(model, in_trunk, input_ids=ids, use_cache=bool(branches))
    if branches:
        in_branches = [
            (branch, column, (index, place))
            for branch, (index, _, path) in enumerate(branches)
            for column, place in enumerate(path)
            if place in wanted[index]
        ]
        number |= {place: len(number) + n for n, (*_, place) in enumerate(in_branches)}
        cache = output.past_key_values
        cache.batch_select_indices(torch.tensor([index for index, *_ in branches], device=device))
        longest = max(len(tokens) for _, tokens, _ in branches)
        mask = [[1] * (trunk + len(tokens)) for _, tokens, _ in branches]
        zeros = [0] * len(branches)
        more, _ = logits_at(
            model,
            [place for *place, _ in in_branches],
            input_ids=_padded([tokens for _, tokens, _ in branches], longest, zeros, device),
            attention_mask=_padded(mask, trunk + longest, zeros, device),
            past_key_values=cache,
            use_cache=True,
        )
        logits = torch.cat([logits, more])
    return logits[[number[index, place] for index, row in enumerate(rows) for place in row.wanted]]


def logits_at(model: nn.Module, places: Sequence[Sequence[int]], **inputs: Any) -> tuple[Tensor, Any]:
    """Logits at some places of a batch, pairs of row and column; no other reaches the head.

    Returns
    -------
    logits : Tensor of shape (places, words)
    output : object
        All that the model returns.
    """
    batch, length = inputs["input_ids"].shape
    rows, columns = [row for row, _ in places], [column for _, column in places]
    chosen = False

    def choose(head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        nonlocal chosen
        if not args or args[0].shape[:2] != (batch, length):
            return None
        chosen = True
        return args[0][rows, columns][None], *args[1:]

    find: Any = getattr(model, "get_output_embeddings", lambda: None)
    head: nn.Module | None = find()
    handle = None if head is None else head.register_forward_pre_hook(choose)
    try:
        output = model(**inputs)
    finally:
        if handle is not None:
            handle.remove()
    logits: Tensor = output.logits[0] if chosen else output.logits[rows, columns]
    return logits, output


def offsets(rows: Sequence[Row]) -> list[int]:
    """Number of wanted places before each row."""
    return [0, *accumulate(len(row.wanted) for row in rows)][:-1]


def _number_format(model: nn.Module) -> torch.dtype:
    dtype: Any = model.dtype
    assert isinstance(dtype, torch.dtype)
    return dtype


def _padded(
    lists: Sequence[Sequence[int]], length: int, filler: Sequence[int], device: torch.device
) -> Tensor:
    filled = [[*each, *[fill] * (length - len(each))] for each, fill in zip(lists, filler, strict=True)]
    return torch.tensor(filled, device=device)
