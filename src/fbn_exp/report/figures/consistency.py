"""Figure of consistency: counts and overlap of each template beside both nulls, and test-retest."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.analysis.consistency import Findings
from fbn_exp.analysis.retest import Retest
from fbn_exp.report.style import ACCENT, NULL_COLOURS, RETEST

# largest number of templates that are numbered one by one
NUMBERED = 20
NULLS = {"masks": "random masks", "shift": "shifted signals"}


def consistency_figure(findings: Findings) -> Figure:
    """Draw counts and matched IoU of each template beside both nulls, and test-retest reliability."""
    panels = 2 if findings.halves is None else 3
    n_networks = len(findings.sizes)
    width = min(16.0, max(9.5, 5.0 + 0.45 * n_networks))
    figure = Figure(figsize=(width, 2.7 * panels + 0.5), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True)
    _count_panel(axes[0], findings)
    _iou_panel(axes[1], findings)
    if findings.halves is not None:
        _retest_panel(axes[2], findings.halves)
    axes[-1].set_xlabel("template network")
    if n_networks <= 2 * NUMBERED:
        axes[-1].set_xticks(np.arange(n_networks))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"Templates: {findings.templates}\nlooked for in {len(findings.matches.count)} single texts: "
        f"{findings.texts}",
        fontsize=10,
    )
    return figure


def _count_panel(axes: Axes, findings: Findings) -> None:
    networks = np.arange(len(findings.sizes))
    bars = axes.bar(networks - 0.22, findings.totals[:-1], 0.4, color=ACCENT, label="individual networks")
    if len(networks) <= NUMBERED:
        axes.bar_label(bars, fmt="{:.0f}", fontsize=7)
    for place, (null, against) in enumerate(findings.count.items()):
        expected, upper = against.expected[:-1], against.upper[:-1]
        error = [np.zeros_like(expected), np.maximum(upper - expected, 0)]
        at = networks + 0.1 + 0.2 * place
        label = f"{NULLS[null]} (tip: 95%)"
        axes.bar(at, expected, 0.2, yerr=error, color=NULL_COLOURS[null], label=label, error_kw={"lw": 1})
    axes.set_ylabel(f"count of {findings.individual:,}")
    axes.set_title(f"Individual networks with IoU > {findings.minimum_iou:g}", fontsize=9)
    _legend(axes)


def _iou_panel(axes: Axes, findings: Findings) -> None:
    networks = np.arange(len(findings.sizes))
    axes.boxplot(
        findings.matches.iou,
        positions=networks,
        widths=0.45,
        manage_ticks=False,
        flierprops={"ms": 2},
        medianprops={"color": ACCENT},
    )
    axes.plot(networks, findings.matches.iou.mean(axis=0), "D", ms=4, color=ACCENT, label="mean over texts")
    for null, against in findings.iou.items():
        axes.plot(
            networks, against.expected[:-1], "_", ms=16, mew=2, color=NULL_COLOURS[null], label=NULLS[null]
        )
    axes.axhline(findings.minimum_iou, color="gray", lw=0.7, ls=":")
    axes.set_ylabel("matched IoU")
    axes.set_title("Best one-to-one match in each text", fontsize=9)
    _legend(axes)


def _retest_panel(axes: Axes, halves: Retest) -> None:
    networks = np.arange(len(halves.icc))
    axes.bar(networks - 0.2, halves.icc, 0.36, color=ACCENT, label="ICC(3,1) of strength")
    axes.bar(networks + 0.2, halves.identification, 0.36, color=RETEST, label="own half identified")
    axes.axhline(1 / halves.n_texts, color=RETEST, lw=0.8, ls="--", label="identification by chance")
    axes.axhline(0, color="black", lw=0.6)
    axes.set_ylim(min(-0.05, float(np.nanmin(halves.icc, initial=0.0)) - 0.05), 1.02)
    axes.set_ylabel("test–retest")
    axes.set_title("Dual regression onto both halves of each text", fontsize=9)
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Draw the legend beside the panel, where it covers no data."""
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
