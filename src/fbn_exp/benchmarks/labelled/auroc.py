"""Area under the ROC curve: how well likelihoods rank texts of a label above the others, at any cut."""

import numpy as np
from scipy.special import log_softmax
from scipy.stats import rankdata

from fbn_exp.benchmarks.score import Score, mean_score
from fbn_exp.core.rows import Array, Indices


def auroc_score(task: str, likelihood: Array, gold: Indices) -> Score:
    """Mean over labels of the area under the ROC curve of a label against all others.

    A model that always gives the same answer can still rank its texts: its accuracy is at chance, its area
    need not be. Ties count half. Items are pseudo-values: the area plus n times the part that a text has in
    its deviation (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837), so that their mean is the area,
    and their spread within labels gives its standard error.

    Parameters
    ----------
    task : str
        Name of the task.
    likelihood : array of shape (n, K)
        Log-likelihood of each label for each text; a text with a value that is not finite gets weight 0.
    gold : array of int, shape (n,)
        Label of each text.

    Returns
    -------
    Score
        Metric ``auroc``, NaN where fewer than two labels have texts that count.
    """
    decided = np.isfinite(likelihood).all(axis=1)
    labels = [int(label) for label in np.unique(gold[decided])]
    items, weights = np.zeros(len(gold)), np.zeros(len(gold))
    if len(labels) < 2:
        nan = float("nan")
        return Score(task, "auroc", nan, nan, len(gold), True, items, weights, 0.5, strata=gold)
    posterior = log_softmax(likelihood[decided], axis=1)
    truth = gold[decided]
    areas, influence = [], np.zeros(len(truth))
    for label in labels:
        area, parts = _area(posterior[:, label], truth == label)
        areas.append(area)
        influence += parts / len(labels)
    counts = np.bincount(truth, minlength=likelihood.shape[1])
    weights[decided] = 1 / (len(labels) * counts[truth])
    items[decided] = np.mean(areas) + influence / weights[decided]
    return mean_score(task, "auroc", items, higher_is_better=True, weights=weights, chance=0.5, strata=gold)


def _area(values: Array, positive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[float, Array]:
    """Area under the ROC curve, and the part of each text in its deviation, shape (n,)."""
    ranks = rankdata(values)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    # share of the others that a text beats, ties half
    beaten = np.empty(len(values))
    beaten[positive] = (ranks[positive] - rankdata(values[positive])) / n_negative
    beaten[~positive] = 1 - (ranks[~positive] - rankdata(values[~positive])) / n_positive
    area = float(beaten[positive].mean())
    return area, (beaten - area) / np.where(positive, n_positive, n_negative)
