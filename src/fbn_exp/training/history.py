"""What a training run looked like: a table over updates, and its loss curve."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fbn_exp.benchmarks.score import Score
from fbn_exp.core.files import save_figure

PREFIX = "eval_"


def history_table(history: Sequence[Mapping[str, Any]], before: Sequence[Score], loss: str) -> pd.DataFrame:
    """One row per update that was logged: training loss, learning rate, and ``dev_…`` where it was scored.

    Parameters
    ----------
    history : sequence of mapping
        ``TrainerState.log_history``.
    before : sequence of Score
        On dev, of the model before its first update.
    loss : str
        Metric that is minimised.
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


def draw_history(
    table: pd.DataFrame, loss: str, best_step: int | None, chance: float | None, file: Path, dpi: int
) -> None:
    """Draw training and dev loss over updates, and the dev accuracy of a classifier beside the majority."""
    accurate = "dev_acc" in table.columns
    figure = Figure(figsize=(5 * (1 + accurate), 3.6))
    axes = figure.subplots(1, 1 + accurate, squeeze=False)
    left = axes[0, 0]
    for column, label in (("loss", "training"), (f"dev_{loss}", "dev")):
        shown = table.dropna(subset=[column])
        left.plot(shown["step"], shown[column], marker="." if len(shown) < 60 else None, label=label)
    left.set_ylabel(loss.replace("_", " "))
    if accurate:
        right, shown = axes[0, 1], table.dropna(subset=["dev_acc"])
        right.plot(shown["step"], shown["dev_acc"], marker=".", color="C1", label="dev")
        if chance is not None:
            right.axhline(chance, color="grey", linestyle=":", label="majority label")
        right.set_ylabel("accuracy")
    for axis in axes[0]:
        if best_step is not None:
            axis.axvline(best_step, color="grey", linewidth=0.8, label="kept")
        axis.set_xlabel("updates")
        axis.legend(frameon=False)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, file, dpi)
