"""Html of an intervention's results, side by side."""

from collections.abc import Mapping

import torch

from fbn_exp.explorer.acting import Condition, Outcome, Results
from fbn_exp.explorer.shown.templates import rendered
from fbn_exp.explorer.workbench import Workbench

# tokens that are compared after the prompt
NEXT_TOKENS = 8

Cell = tuple[str, float | None, float | None]
"""Text of a token, its loss, and how much that is above the untouched model's."""


def results_shown(bench: Workbench, results: Results | None) -> str:
    """Results as far as they are there; None says what to do."""
    if results is None:
        return rendered("results", results=None)
    decode = bench.lm.tokenizer.decode
    return rendered(
        "results",
        results=results,
        conditions=list(Condition),
        next=[(decode([token]), shares) for token, shares in next_tokens(results.outcomes)],
        losses=losses(results.pieces, results.outcomes),
    )


def next_tokens(outcomes: Mapping[Condition, Outcome]) -> list[tuple[int, list[float]]]:
    """Tokens that are likeliest in any condition, with their probability in each."""
    shares = torch.stack([outcome.probabilities for outcome in outcomes.values()])
    best = shares.amax(dim=0).topk(min(NEXT_TOKENS, shares.shape[1])).indices
    # as the untouched model orders them
    order = best[shares[0, best].argsort(descending=True, stable=True)]
    return [(token, shares[:, token].tolist()) for token in order.tolist()]


def losses(
    pieces: list[str], outcomes: Mapping[Condition, Outcome]
) -> list[tuple[Condition, float | None, list[Cell]]]:
    """Mean loss of each condition, and the loss of each token; the first token of a text has none."""
    untouched = next(iter(outcomes.values())).losses
    shown = []
    for condition, outcome in outcomes.items():
        pairs = zip(outcome.losses.tolist(), (outcome.losses - untouched).tolist(), strict=True)
        known: list[tuple[float | None, float | None]] = [(None, None), *pairs]
        cells = [(piece, *numbers) for piece, numbers in zip(pieces, known, strict=True)]
        mean = float(outcome.losses.mean()) if len(outcome.losses) else None
        shown.append((condition, mean, cells))
    return shown
