"""How often runs from new starts reach the same optimum."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fbn_exp.methods.solvers.starts import SAME_SOURCE
from fbn_exp.reliability.runs import Run


def optima_metrics(runs: Sequence[Run], similarity: Tensor, resampled: Sequence[bool]) -> dict[str, float]:
    """Count the optima of the runs on all texts, each of which takes one start.

    Runs on drawn texts have optima of their own, and are left out; so are runs that did not converge.

    Parameters
    ----------
    runs : sequence of Run
        All runs.
    similarity : Tensor of shape (R · K, R · K)
        |r| of the estimates of all runs.
    resampled : sequence of bool
        True for a run on drawn texts.

    Returns
    -------
    dict of str to float
        ``runs_on_all_texts``: runs that are counted; ``runs_at_best``: of these, with the optimum of largest
        score; ``optima``: different ones. Empty for a method without starts, or if no such run converged.
    """
    own = [
        place
        for place, run in enumerate(runs)
        if run.score is not None and run.converged and not resampled[place]
    ]
    if not own:
        return {}
    k = len(runs[0].maps)
    blocks = similarity.reshape(len(runs), k, len(runs), k)
    # in order of their score, so that the first of each optimum is its best run
    own.sort(key=lambda place: runs[place].score or -np.inf, reverse=True)
    groups: list[list[int]] = []
    for place in own:
        for group in groups:
            if _same(blocks[group[0], :, place]):
                group.append(place)
                break
        else:
            groups.append([place])
    return {
        "runs_on_all_texts": float(len(own)),
        "runs_at_best": float(len(groups[0])),
        "optima": float(len(groups)),
    }


def _same(similarity: Tensor) -> bool:
    """True if the estimates of two runs (K, K) match one to one."""
    return bool(torch.all((similarity > SAME_SOURCE).sum(dim=1) == 1))
