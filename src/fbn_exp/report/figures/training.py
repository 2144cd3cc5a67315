"""Figure of a training run over its updates."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def training_figure(history: pd.DataFrame, loss: str, best_step: int | None, chance: float | None) -> Figure:
    """Draw training and dev loss over updates, and a classifier's dev accuracy beside the majority rate."""
    accurate = "dev_acc" in history.columns
    figure = Figure(figsize=(5 * (1 + accurate), 3.6))
    axes = figure.subplots(1, 1 + accurate, squeeze=False)
    left = axes[0, 0]
    for column, label in (("loss", "training"), (f"dev_{loss}", "dev")):
        shown = history.dropna(subset=[column])
        left.plot(shown["step"], shown[column], marker="." if len(shown) < 60 else None, label=label)
    left.set_ylabel(loss.replace("_", " "))
    if accurate:
        right, shown = axes[0, 1], history.dropna(subset=["dev_acc"])
        right.plot(shown["step"], shown["dev_acc"], marker=".", color="C1", label="dev")
        if chance is not None:
            right.axhline(chance, color="grey", linestyle=":", label="majority label")
        right.set_ylabel("accuracy")
    for axis in axes[0]:
        if best_step is not None:
            axis.axvline(best_step, color="grey", linewidth=0.8, label="kept")
        axis.set_xlabel("updates")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False)
    figure.tight_layout()
    return figure
