"""Figure of a training run over its updates."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fbn_exp.report.style import ACCENT, CHANCE, GREY


def training_figure(history: pd.DataFrame, loss: str, best_step: int | None, chance: float | None) -> Figure:
    """Draw training and dev loss over updates, and a classifier's dev accuracy beside the majority rate."""
    accurate = "dev_acc" in history.columns
    figure = Figure(figsize=(4.4 * (1 + accurate), 3.2), layout="constrained")
    axes = figure.subplots(1, 1 + accurate, squeeze=False)
    left = axes[0, 0]
    for column, label, colour in (("loss", "training", GREY), (f"dev_{loss}", "dev", ACCENT)):
        shown = history.dropna(subset=[column])
        marker = "." if len(shown) < 60 else None
        left.plot(shown["step"], shown[column], marker=marker, color=colour, label=label)
    left.set_ylabel(loss.replace("_", " "))
    if accurate:
        right, shown = axes[0, 1], history.dropna(subset=["dev_acc"])
        right.plot(shown["step"], shown["dev_acc"], marker=".", color=ACCENT, label="dev")
        if chance is not None:
            right.axhline(chance, color=CHANCE, linestyle=":", label="majority label")
        right.set_ylabel("accuracy")
    for axis in axes[0]:
        if best_step is not None:
            axis.axvline(best_step, color="black", linewidth=0.8, linestyle="--", label="kept")
        axis.set_xlabel("updates")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.spines[["top", "right"]].set_visible(False)
        # above the panel, where it covers no curve
        axis.legend(frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure
