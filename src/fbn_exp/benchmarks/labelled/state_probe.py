"""Linear probe on the last token's state: what can be read from it, whatever the model's own head says."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from tqdm import tqdm

from fbn_exp.core import ranks
from fbn_exp.core.rows import Array, Indices
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.models.language_model import LanguageModel

# inverse penalties that are tried, on standardised states
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5


def refitted_answers(states: Array, labels: Indices, asked: Array) -> Indices:
    """Answers of a logistic regression that is fitted to some states, for others.

    Features are standardised; the L2 penalty is the one with the best balanced accuracy in five folds of the
    states that are fitted to.

    Parameters
    ----------
    states : array of shape (n, d)
        States to fit to; rows that are not finite are left out.
    labels : array of int, shape (n,)
        Their labels.
    asked : array of shape (m, d)
        States to answer for.

    Returns
    -------
    array of int, shape (m,)
        Labels; -1 for a state that is not finite, and for all of them where fewer than two labels have two
        finite states to fit to.
    """
    known, decided = np.isfinite(states).all(axis=1), np.isfinite(asked).all(axis=1)
    counts = np.bincount(labels[known])
    known &= np.isin(labels, np.flatnonzero(counts >= 2))
    answers = np.full(len(asked), -1)
    if len(np.unique(labels[known])) < 2 or not decided.any():
        return answers
    fewest = int(counts[counts >= 2].min())
    # with a penalty on the weights, only directions that the fitted states span matter
    rotated = make_pipeline(StandardScaler(), PCA(svd_solver="full"))
    fitted, questions = rotated.fit_transform(states[known]), rotated.transform(asked[decided])
    chosen = GridSearchCV(
        LogisticRegression(max_iter=500, class_weight="balanced"),
        {"C": PENALTIES},
        scoring="balanced_accuracy",
        cv=StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        answers[decided] = chosen.fit(fitted, labels[known]).predict(questions)
    return answers


def head_pass(
    lm: LanguageModel, rows: Sequence[Sequence[int]], batch_tokens: int, copies: int, *, states: bool
) -> tuple[Array, Array]:
    """Pass texts through a classifier as it stands; where there are several ranks, each takes its share.

    Parameters
    ----------
    lm : LanguageModel
        Model with a classification head.
    rows : sequence of sequences of int
        Token ids of each text.
    batch_tokens : int
        Number of tokens of a batch before it is copied, including padding.
    copies : int
        Number of copies of each batch, which pass together, one for each of several edits.
    states : bool
        False leaves the states out.

    Returns
    -------
    likelihoods, states : array of shape (copies, texts, outputs), array of shape (copies, texts, D)
        Log-likelihood of each output of the head, and the state of the last token that it reads; no columns
        where states are left out.
    """
    assert lm.labels is not None
    width = int(lm.model.config.get_text_config().hidden_size) if states else 0
    likelihoods, kept = (np.zeros((copies, len(rows), size)) for size in (len(lm.labels), width))
    lengths = [len(row) for row in rows]
    batches = ranks.share(length_batches(lengths, batch_tokens))
    tokens = sum(lengths[row] for batch in batches for row in batch) * copies
    bar = tqdm(total=tokens, unit=" tokens", unit_scale=True, desc="classification", leave=False)
    with bar, torch.inference_mode(), last_states(lm.model.base_model) as passed:
        for batch in batches:
            once = pad([rows[row] for row in batch], lm.pad_id)
            ids, mask = (each.repeat(copies, 1) for each in once)
            values = lm.logits(ids, mask).double().log_softmax(dim=-1).cpu().numpy()
            likelihoods[:, batch] = values.reshape(copies, len(batch), -1)
            of_batch = passed.pop()
            if states:
                last = of_last_tokens(of_batch, [lengths[row] for row in batch] * copies)
                kept[:, batch] = last.reshape(copies, len(batch), -1)
            bar.update(int(mask.sum()))
    likelihoods = ranks.summed(likelihoods, "scores of classification")
    return likelihoods, ranks.summed(kept, "states of classification") if states else kept


@contextmanager
def last_states(body: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the last hidden states of each forward pass of a model's body while the context is open.

    Parameters
    ----------
    body : nn.Module
        Body of a transformers model, as ``base_model``.

    Yields
    ------
    list of Tensor of shape (B, L, D)
        Grows by one with each pass.
    """
    passed: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        passed.append(output[0])

    handle = body.register_forward_hook(keep)
    try:
        yield passed
    finally:
        handle.remove()


def of_last_tokens(states: Tensor, lengths: Sequence[int]) -> Array:
    """States of the last token of each text, without padding on the right, float64 of shape (B, D)."""
    values: Array = np.stack(
        [row[length - 1].double().cpu().numpy() for row, length in zip(states, lengths, strict=True)]
    )
    return values
