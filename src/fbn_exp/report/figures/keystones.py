"""Figure of keystones: cost against energy, where they sit, and attention to the first token."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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
    _name_each(panels[0], energy, findings)
    panels[0].set_xscale("log")
    panels[0].set_xlabel("energy: mean square of the activation")
    panels[0].set_ylabel("cost of its removal, nats per token")
    _points(panels[1], blocks, findings)
    _name_by_block(panels[1], findings)
    panels[1].set_xlim(-1, len(scan.layout.blocks))
    panels[1].set_xlabel("block")
    panels[0].legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)
    for axes in panels[1:]:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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
        if chosen.any():
            axes.scatter(across[chosen], nats[chosen], s=16, color=colour, alpha=0.7, lw=0, label=label)
    least = findings.minimum_nats
    axes.axhline(least, color=GREY, lw=1, ls="--")
    axes.annotate(
        f"{least:g} nats", (1, least), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right", fontsize=8, color=GREY,
    )  # fmt: skip
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(y=0.12)


def _name_each(axes: Axes, energy: Array, findings: KeystoneFindings) -> None:
    """Write block and index beside the costliest keystones."""
    scan = findings.scan
    right = np.sqrt(energy.min() * energy.max())
    for place in scan.keystones(findings.minimum_nats)[:NAMED]:
        block, index = scan.layout.locate(scan.neurons[place].column)
        # away from the edge
        side = -1 if energy[place] > right * np.sqrt(energy.max() / right) else 1
        at = (energy[place], np.nan_to_num(scan.nats[place]))
        _write(axes, f"{block}:{index}", at, side)


def _name_by_block(axes: Axes, findings: KeystoneFindings) -> None:
    """Write the indices of each block's costliest keystones beside the first of them."""
    scan = findings.scan
    named: dict[int, list[tuple[int, float]]] = {}
    for place in scan.keystones(findings.minimum_nats)[:NAMED]:
        block, index = scan.layout.locate(scan.neurons[place].column)
        named.setdefault(block, []).append((index, float(np.nan_to_num(scan.nats[place]))))
    for block, stones in named.items():
        side = -1 if block > len(scan.layout.blocks) / 2 else 1
        text = ", ".join(str(index) for index, _ in stones)
        _write(axes, f"{block}: {text}", (block, stones[0][1]), side)


def _write(axes: Axes, text: str, at: tuple[float, float], side: int) -> None:
    axes.annotate(
        text, at, xytext=(6 * side, 0), textcoords="offset points", fontsize=8, va="center",
        ha="left" if side > 0 else "right",
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
    axes.set_ylabel("attention to the first token")
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)
