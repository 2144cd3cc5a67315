"""Figure of keystones: cost against energy, where they sit, and attention to the first token."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.analysis.keystones.analysis import KeystoneFindings
from fbn_exp.analysis.keystones.firing import FIRST
from fbn_exp.core.rows import Array
from fbn_exp.report.style import ACCENT, GREY, SECOND

# keystones named in a panel; the table has all
NAMED = 8
# costs below it are drawn linearly, above it logarithmically
LINEAR = 0.1


def keystones_figure(findings: KeystoneFindings) -> Figure:
    """Draw one point per scanned neuron, and attention to the first token by layer."""
    with_attention = findings.attention is not None
    figure = Figure(figsize=(13 if with_attention else 9, 4.4), layout="constrained")
    panels = figure.subplots(1, 3 if with_attention else 2)
    scan = findings.scan
    energy = np.array([neuron.energy for neuron in scan.neurons])
    blocks = np.array([scan.layout.locate(neuron.column)[0] for neuron in scan.neurons])
    _points(panels[0], energy, findings)
    panels[0].set_xscale("log")
    panels[0].set_xlabel("energy: mean square of the activation")
    panels[0].set_ylabel("cost of its removal, nats per token")
    _points(panels[1], blocks, findings)
    panels[1].set_xlim(-1, len(scan.layout.blocks))
    panels[1].set_xlabel("block")
    panels[0].legend(*panels[0].get_legend_handles_labels(), fontsize=8, frameon=False, loc="upper left")
    if with_attention:
        _attention(panels[2], findings)
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    count = len(findings.keystones)
    found = f"{count} keystone{'s' if count != 1 else ''}"
    figure.suptitle(f"{found} among the {len(scan.neurons)} neurons of largest energy", fontsize=10)
    return figure


def _points(axes: Axes, across: Array, findings: KeystoneFindings) -> None:
    scan = findings.scan
    nats = np.nan_to_num(scan.nats)
    first = np.array([neuron.fires_at == FIRST for neuron in scan.neurons])
    for chosen, colour, label in (
        (~first, ACCENT, "fires at other tokens"),
        (first, SECOND, "fires at first tokens"),
    ):
        axes.scatter(across[chosen], nats[chosen], s=16, color=colour, alpha=0.7, lw=0, label=label)
    axes.axhline(findings.minimum_nats, color=GREY, lw=1, ls="--")
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(y=0.12)
    for place in scan.keystones(findings.minimum_nats)[:NAMED]:
        block, index = scan.layout.locate(scan.neurons[place].column)
        axes.annotate(
            f"{block}:{index}", (across[place], nats[place]), xytext=(0, 5),
            textcoords="offset points", fontsize=8, ha="center",
        )  # fmt: skip


def _attention(axes: Axes, findings: KeystoneFindings) -> None:
    assert findings.attention is not None
    assert findings.attention_together is not None
    axes.plot(findings.attention, color="black", lw=1.5, label="untouched")
    if findings.keystones:
        costliest = findings.keystones[0]
        block, index = findings.scan.layout.locate(costliest.neuron.column)
        if costliest.attention is not None:
            axes.plot(costliest.attention, color=SECOND, lw=1.5, label=f"without {block}:{index}")
        axes.plot(
            findings.attention_together, color=ACCENT, lw=1.5, ls="--",
            label=f"without all {len(findings.keystones)}",
        )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_xlabel("layer")
    axes.set_ylabel("attention to the first token, mean over heads")
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)
