"""Picture of the sink: harm of every lesion beside its controls, and how much of the claim's excess goes."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fbn_exp.experiments.decisive.config import SinkConfig
from fbn_exp.experiments.decisive.sink_verdict import WORDS, changed, same_lesion
from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS, SECOND

LABELS = {"random": "as many at random", "energy": "equal energy", "noise": "noise of equal energy"}


def sink_figure(config: SinkConfig, table: pd.DataFrame, model: str) -> Figure:
    """Draw a table of ``sink_table``: a panel per choice of members, then the shares that go.

    Choices without any neuron have no panel, and a remedy that leaves the lesion as it is has no share.
    """
    rows = table[table["metric"] == config.endpoint].copy()
    rows[list(WORDS)] = rows["lesion"].str.split("/", expand=True)
    lesions = list(dict.fromkeys(zip(rows["fill"], rows["tokens"], strict=True)))
    members = [each for each in WORDS["members"] if (rows["neurons"][rows["members"] == each] > 0).any()]
    figure = Figure(figsize=(3.1 * len(members) + 4.6, 1.5 + 0.5 * len(lesions)), layout="constrained")
    panels = figure.subplots(1, len(members) + 1, width_ratios=[*[1.0] * len(members), 0.9])
    for axes, name in zip(panels, members, strict=False):
        _harm(axes, rows[rows["members"] == name], lesions, config)
        axes.set_title(WORDS["members"][name], fontsize=9)
        axes.set_xlim(0, 1.05 * float(rows[["high", "noise_mean", "energy_mean"]].max().max()))
        if axes is not panels[0]:
            axes.set_yticklabels([])
    _shares(panels[-1], config, table)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    handles = [Line2D([], [], marker="o", ls="", color=ACCENT, label="networks, 95% interval over texts")]
    kinds = list(dict.fromkeys((config.control.value, "energy", "noise")))
    handles += [
        Line2D(
            [],
            [],
            marker="|",
            ms=10,
            mew=2.5,
            ls="",
            color=CONTROL_COLOURS[kind],
            label=f"{LABELS.get(kind, kind)} (mean)",
        )
        for kind in kinds
        if rows[f"{kind}_mean"].notna().any()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(f"{model}: what lesions cost, and what goes with the sink", fontsize=10)
    return figure


def _harm(axes: Axes, rows: pd.DataFrame, lesions: list[tuple[str, str]], config: SinkConfig) -> None:
    for row in rows.to_dict("records"):
        place = lesions.index((row["fill"], row["tokens"]))
        for kind in dict.fromkeys((config.control.value, "energy", "noise")):
            colour = CONTROL_COLOURS[kind]
            axes.plot(row[f"{kind}_mean"], place, "|", ms=13, mew=2.5, color=colour)
        error = np.abs([[row["value"] - row["low"]], [row["high"] - row["value"]]])
        axes.errorbar(row["value"], place, xerr=error, fmt="o", ms=4.5, capsize=2, color=ACCENT)
    labels = [f"{WORDS['fill'][fill]}\n{WORDS['tokens'][tokens]}" for fill, tokens in lesions]
    axes.set_yticks(range(len(lesions)), labels, fontsize=8)
    axes.set_ylim(len(lesions) - 0.5, -0.5)
    axes.set_xlabel(f"{_endpoint(config.endpoint)}, nats per token")


def _shares(axes: Axes, config: SinkConfig, table: pd.DataFrame) -> None:
    """Draw the share of the claim's excess that goes with each remedy, by both endpoints."""
    for offset, metric, colour in ((-0.1, config.endpoint, ACCENT), (0.1, config.second_endpoint, SECOND)):
        rows = table[table["metric"] == metric].set_index("lesion", drop=False)
        for place, remedy in enumerate(config.remedies):
            if remedy not in rows.index:
                continue
            row: Any = rows.loc[remedy]
            claim: Any = rows.loc[config.claim]
            if same_lesion(row, claim):
                axes.text(3, place, "the same lesion", fontsize=7, va="center", color=CHANCE)
                continue
            error = 100 * np.abs([[row["gone"] - row["gone_low"]], [row["gone_high"] - row["gone"]]])
            y = place + offset
            axes.errorbar(100 * row["gone"], y, xerr=error, fmt="o", ms=4.5, capsize=2, color=colour)
        axes.plot([], [], "o", ms=4.5, color=colour, label=_endpoint(metric))
    axes.axvline(100 * config.share, color=CHANCE, lw=1, ls="--", label="rule")
    axes.set_yticks(
        range(len(config.remedies)), ["\n".join(changed(each)) for each in config.remedies], fontsize=8
    )
    axes.set_ylim(len(config.remedies) - 0.5, -0.5)
    axes.set_xlim(min(0, *axes.get_xlim()), max(105, axes.get_xlim()[1]))
    axes.set_xlabel("of the claim's excess harm gone, %")
    axes.set_title("remedies", fontsize=9)
    axes.legend(fontsize=7, frameon=False)


def _endpoint(metric: str) -> str:
    return "KL" if metric == "kl" else metric.replace("_", " ")
