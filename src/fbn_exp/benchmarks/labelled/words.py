"""Likelihoods of words that stand for labels."""

from collections.abc import Sequence

from fbn_exp.models.decoding.predictions import Predictions


def word_likelihoods(
    found: Predictions, ends: Sequence[range], words: Sequence[Sequence[Sequence[int]]]
) -> list[list[float]]:
    """Log-likelihood of each row's words, of equal length, whose tokens except the last end the row.

    Parameters
    ----------
    found : Predictions
        Of rows of tokens.
    ends : sequence of range
        Places in each row that predict the tokens of its words.
    words : sequence of sequences of words
        Token ids of each row's words.
    """
    rows = [row for row, places in enumerate(ends) for _ in places]
    logits = found.logits(rows, [place for places in ends for place in places])
    likelihoods = []
    for before, of_row in zip(logits.split([len(places) for places in ends]), words, strict=True):
        values = before.double().log_softmax(dim=-1).cpu()
        likelihoods.append([float(values[range(len(word)), list(word)].sum()) for word in of_row])
    return likelihoods
