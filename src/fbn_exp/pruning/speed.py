"""Size and speed of a pruned model beside the original."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binom
from torch import nn

from fbn_exp.models.language_model import LanguageModel

# a pass of the comparison of speeds
PASS_SHAPE = (4, 64)
# one-sided error of either end of an interval
TAIL = 0.025


@dataclass(frozen=True)
class Size:
    """Size of a model.

    Attributes
    ----------
    parameters : int
        Number of parameters; tied ones count once.
    mlp_parameters : int
        Those of them that belong to hidden neurons of MLPs.
    weight_bytes : int
        Memory of parameters and buffers.
    checkpoint_bytes : int or None
        Size of the files of its weights, None if it was not saved.
    """

    parameters: int
    mlp_parameters: int
    weight_bytes: int
    checkpoint_bytes: int | None = None


def size_of(model: nn.Module, mlp_parameters: int, folder: Path | None = None) -> Size:
    """Measure the size of a model, and that of its weights in a folder."""
    tensors = [*model.parameters(), *model.buffers()]
    files = [] if folder is None else [file.stat().st_size for file in folder.glob("*.safetensors")]
    return Size(
        sum(each.numel() for each in model.parameters()),
        mlp_parameters,
        sum(each.numel() * each.element_size() for each in tensors),
        sum(files) if files else None,
    )


@dataclass(frozen=True)
class Speed:
    """Speeds of two models in forward passes that alternate.

    Attributes
    ----------
    before, after : float
        Median tokens per second of the original and of the pruned model.
    ratio : float
        Median over pairs of the pruned model's speed as a multiple of the original's.
    ci_low, ci_high : float
        Interval of the median by order statistics, of at least 95%; NaN from fewer than 6 pairs.
    peak_before, peak_after : int or None
        Largest memory that torch held on an accelerator during a pass, less that of the other model's
        weights, in bytes; None on a CPU, where torch does not count it.
    """

    before: float
    after: float
    ratio: float
    ci_low: float
    ci_high: float
    peak_before: int | None = None
    peak_after: int | None = None


def compare_speed(original: LanguageModel, pruned: LanguageModel, pairs: int) -> Speed:
    """Time forward passes of two models in turn, so that a busy machine slows both of them.

    Parameters
    ----------
    original, pruned : LanguageModel
        The models, both in memory.
    pairs : int
        Passes of each, at least 1; one more of each warms up.
    """
    seconds, peaks = [], []
    for number in range(pairs + 1):
        # the model that goes first finds caches as the other one left them: they take turns in that as well
        order = (original, pruned) if number % 2 else (pruned, original)
        timed = [_timed_pass(lm) for lm in order][:: 1 if number % 2 else -1]
        seconds.append([duration for duration, _ in timed])
        peaks.append([peak for _, peak in timed])
    rates = PASS_SHAPE[0] * PASS_SHAPE[1] / np.array(seconds[1:])
    ratios = rates[:, 1] / rates[:, 0]
    low, high = median_interval(ratios.tolist())
    before, after = np.median(rates, axis=0).tolist()
    peak_before, peak_after = (max(each) or None for each in zip(*peaks, strict=True))
    return Speed(before, after, float(np.median(ratios)), low, high, peak_before, peak_after)


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Interval of the median by order statistics, of at least 95%; NaN from too few values.

    Examples
    --------
    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    (1.0, 6.0)
    """
    ordered = sorted(values)
    # the median lies below this value, counted from 1, with a probability of less than the tail
    place = int(binom.ppf(TAIL, len(ordered), 0.5))
    return (ordered[place - 1], ordered[-place]) if place else (float("nan"), float("nan"))


def _timed_pass(lm: LanguageModel) -> tuple[float, int]:
    """Seconds of a pass, and the memory that it needs on an accelerator (0 on a CPU)."""
    ids = torch.zeros(PASS_SHAPE, dtype=torch.long)
    on_gpu = lm.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(lm.device)
        held = torch.cuda.memory_allocated(lm.device)
    with torch.inference_mode():
        started = time.perf_counter()
        # reading a value waits for an accelerator
        lm.logits(ids).flatten()[-1].item()
        seconds = time.perf_counter() - started
    if not on_gpu:
        return seconds, 0
    own = sum(each.numel() * each.element_size() for each in lm.model.parameters())
    return seconds, own + torch.cuda.max_memory_allocated(lm.device) - held
