"""History of a training run as a table over updates."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fbn_exp.benchmarks.score import Score

PREFIX = "eval_"


def history_table(history: Sequence[Mapping[str, Any]], before: Sequence[Score], loss: str) -> pd.DataFrame:
    """Table with a row per logged update: training loss, learning rate, and ``dev_…`` if dev was scored.

    Parameters
    ----------
    history : sequence of mapping
        ``TrainerState.log_history`` of the run.
    before : sequence of Score
        Scores on dev of the model before its first update.
    loss : str
        Name of the metric that is minimised.
    """
    rows: dict[int, dict[str, float]] = {0: {"step": 0, "epoch": 0.0}}
    rows[0] |= {f"dev_{score.metric}": score.value for score in before}
    rows[0] |= {f"dev_{score.metric}/chance": score.chance for score in before if score.chance is not None}
    for entry in history:
        row = rows.setdefault(int(entry["step"]), {"step": int(entry["step"]), "epoch": entry["epoch"]})
        row |= {name: entry[name] for name in ("loss", "learning_rate", "grad_norm") if name in entry}
        row |= {
            f"dev_{name.removeprefix(PREFIX)}": value
            for name, value in entry.items()
            if name.startswith(PREFIX) and name != f"{PREFIX}loss"
        }
    table = pd.DataFrame([rows[step] for step in sorted(rows)])
    first = ["step", "epoch", "loss", f"dev_{loss}"]
    return table.reindex(columns=[*first, *(name for name in table.columns if name not in first)])
