"""Dual regression of group networks onto single texts, and their test-retest reliability there.

The two regressions of Beckmann et al. (2009), Group comparison of resting-state FMRI data using multi-subject
ICA and dual regression: maps give time courses, time courses give maps of the text.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import SignalError
from fbn_exp.core.rows import Array, Rows
from fbn_exp.methods.least_squares import least_squares_courses

# networks whose maps of all halves are in memory at once
CHUNK_NETWORKS = 8
# with fewer texts an intraclass correlation is meaningless
LEAST_TEXTS = 3


def text_maps(signals: Tensor, courses: Tensor) -> Tensor:
    """Temporal regression: weights of every neuron on unit-variance time courses, shape (K, N), float32.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        Signals of one text.
    courses : Tensor of shape (T, K), float64
        Centred time courses of the text, with T > K + 1.
    """
    scaled = courses / courses.square().mean(dim=0).sqrt().clamp_min(1e-300)
    # rows of the pseudoinverse sum to zero, so the signals need no centring
    return torch.linalg.pinv(scaled).float() @ signals


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Two of the coefficients of Shrout & Fleiss (1979); NaN where values do not vary.

    Attributes
    ----------
    agreement : float
        ICC(2,1): measurements are a random sample, a shift between them counts as error.
    consistency : float
        ICC(3,1): measurements are fixed, a shift common to all targets does not count.
    """

    agreement: float
    consistency: float


def intraclass_correlation(values: Array) -> IntraclassCorrelation:
    """Intraclass correlation of single measurements (Shrout & Fleiss 1979).

    Parameters
    ----------
    values : array of shape (n, k)
        k measurements of each of n targets.
    """
    n, k = values.shape
    deviation = values - values.mean()
    between = k * np.square(deviation.mean(axis=1)).sum() / (n - 1)
    judges = n * np.square(deviation.mean(axis=0)).sum() / (k - 1)
    residual = deviation - deviation.mean(axis=1, keepdims=True) - deviation.mean(axis=0, keepdims=True)
    error = np.square(residual).sum() / ((n - 1) * (k - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = (between - error) / (between + (k - 1) * error + k * (judges - error) / n)
        consistency = (between - error) / (between + (k - 1) * error)
    return IntraclassCorrelation(float(agreement), float(consistency))


@dataclass(frozen=True, eq=False)
class Retest:
    """Test-retest reliability of group networks over the two halves of texts; arrays have shape (K,).

    Attributes
    ----------
    icc : array
        ICC(3,1) over texts of a network's strength in the first and second half: the mean weight of its
        members in the half's map, in units of the signal for a unit-variance time course. The halves
        differ systematically (only one holds the first token), which ICC(3,1) leaves out.
    icc_agreement : array
        ICC(2,1) of the same strengths, which counts that difference as error.
    own_similarity, other_similarity : array
        Mean |r| of the map of a half with that of the other half of the same text, and of other texts.
    identification : array
        Share of halves whose most similar map among the other halves of all texts is that of their own
        text; by chance 1 / n_texts.
    n_texts : int
        Texts that were long enough to be halved.
    """

    icc: Array
    icc_agreement: Array
    own_similarity: Array
    other_similarity: Array
    identification: Array
    n_texts: int


def retest(signals: Tensor, rows: Rows, maps: Tensor, masks: Tensor) -> Retest:
    """Dual regression of group maps onto both halves of every text.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        Signals of texts that the maps were not fitted to.
    rows : Rows
        Text of each token.
    maps : Tensor of shape (K, N)
        Maps of the group networks.
    masks : Tensor of shape (K, N), bool
        Members of the networks; strengths of a network without members are NaN.

    Raises
    ------
    SignalError
        If fewer than ``LEAST_TEXTS`` texts have more than 2 (K + 2) tokens.
    """
    halves = rows.halves(least=len(maps) + 2)
    if len(halves) < LEAST_TEXTS:
        raise SignalError(
            f"test-retest needs {LEAST_TEXTS} texts of at least {2 * (len(maps) + 2)} tokens for {len(maps)} "
            f"networks, here are {len(halves)}: take more or longer texts (analysis.dataset.n_texts, "
            "analysis.dataset.tokens_per_text)"
        )
    courses = [[least_squares_courses(signals[half], maps) for half in text] for text in halves]
    parts = range(0, len(maps), CHUNK_NETWORKS)
    measures = []
    for start in tqdm(parts, desc="dual regression", unit=" part", leave=False, delay=1):
        part = slice(start, start + CHUNK_NETWORKS)
        # (texts, halves, networks, neurons)
        regressed = torch.stack(
            [
                torch.stack(
                    [text_maps(signals[half], course)[part] for half, course in zip(text, pair, strict=True)]
                )
                for text, pair in zip(halves, courses, strict=True)
            ]
        )
        measures += [_recurrence(regressed[:, :, place], mask) for place, mask in enumerate(masks[part])]
    consistency, agreement, own, other, identification = np.array(measures).T
    return Retest(consistency, agreement, own, other, identification, len(halves))


def _recurrence(regressed: Tensor, mask: Tensor) -> tuple[float, float, float, float, float]:
    """Values of ``Retest`` for one network, from its maps of shape (n, 2, N)."""
    strength = regressed[:, :, mask].double().mean(dim=2).numpy()
    icc = intraclass_correlation(strength)
    centred = regressed - regressed.mean(dim=2, keepdim=True)
    scaled = centred / centred.norm(dim=2, keepdim=True).clamp_min(1e-30)
    similarity = (scaled[:, 0] @ scaled[:, 1].T).abs().double()
    n = len(similarity)
    own = similarity.diagonal()
    other = (similarity.sum() - own.sum()) / (n * (n - 1))
    texts = torch.arange(n)
    hits = [(similarity.argmax(dim=axis) == texts).double().mean() for axis in (0, 1)]
    identified = float(hits[0] + hits[1]) / 2
    return icc.consistency, icc.agreement, float(own.mean()), float(other), identified
