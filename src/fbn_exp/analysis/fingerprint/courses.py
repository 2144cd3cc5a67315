"""Time courses of sets of neurons: the mean of their raw activations at every token, as in P3."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fbn_exp.analysis.fingerprint.alignment import LocatedTexts
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Array
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

CHUNK_TOKENS = 512


def mean_courses(
    lm: LanguageModel,
    layout: NeuronLayout,
    sets: Tensor,
    located: LocatedTexts,
    batch_tokens: int,
    scratch: Path,
) -> list[Array]:
    """Mean raw activation of each set of neurons at each token.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    layout : NeuronLayout
        Its neurons.
    sets : Tensor of shape (M, N), bool
        Sets of neurons; an empty set has a course of 0.
    located : LocatedTexts
        Texts as tokens of this model.
    batch_tokens : int
        Largest number of tokens in a batch.
    scratch : Path
        Folder for signals beyond the memory budget.

    Returns
    -------
    list of array of shape (tokens, M)
        One for each text.
    """
    weights = sets.float() / sets.sum(dim=1, keepdim=True).clamp_min(1)
    # activations as they are: no token is left out, no neuron is standardised
    raw = SignalsConfig(batch_tokens=batch_tokens)
    with recorded(lm, located.texts, layout, raw, scratch) as signals:
        placed = weights.T.to(signals.values.device)
        parts = [(chunk @ placed).cpu() for chunk in signals.values.split(CHUNK_TOKENS)]
        courses = torch.cat(parts).double().numpy()
        return np.split(courses, signals.rows.offsets[1:-1])
