"""Figure of consistency: counts and overlap of each template beside its nulls, and test-retest."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.analysis.consistency import Findings
from fbn_exp.analysis.retest import Retest
from fbn_exp.report.style import ACCENT, GREY, NULL_COLOURS, NULLS, RETEST, SECOND

# largest number of templates that are numbered one by one
NUMBERED = 20


def consistency_figure(findings: Findings) -> Figure:
    """Draw counts and matched IoU of each template beside its nulls, and test-retest reliability."""
    panels = 2 if findings.halves is None else 4
    n_networks = len(findings.sizes)
    width = min(16.0, max(9.5, 5.0 + 0.45 * n_networks))
    figure = Figure(figsize=(width, 2.7 * panels + 0.5), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True)
    _count_panel(axes[0], findings)
    _iou_panel(axes[1], findings)
    if findings.halves is not None:
        _strength_panel(axes[2], findings.halves)
        _identification_panel(axes[3], findings.halves)
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
    nulls = findings.nulls["count"]
    width = 0.4 / len(nulls)
    bars = axes.bar(networks - 0.22, findings.totals[:-1], 0.4, color=ACCENT, label="individual networks")
    if len(networks) <= NUMBERED:
        axes.bar_label(bars, fmt="{:.0f}", fontsize=7)
    for place, null in enumerate(NULLS):
        expected, upper = nulls[null].expected[:-1], nulls[null].upper[:-1]
        error = [np.zeros_like(expected), np.maximum(upper - expected, 0)]
        at = networks + width * (place + 0.5)
        label = f"{NULLS[null]} (tip: 95%)"
        axes.bar(at, expected, width, yerr=error, color=NULL_COLOURS[null], label=label, error_kw={"lw": 1})
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
    for null, name in NULLS.items():
        expected = findings.nulls["iou"][null].expected[:-1]
        axes.plot(networks, expected, "_", ms=16, mew=2, color=NULL_COLOURS[null], label=name)
    axes.axhline(findings.minimum_iou, color="gray", lw=0.7, ls=":")
    axes.set_ylabel("matched IoU")
    axes.set_title("Best one-to-one match in each text", fontsize=9)
    _legend(axes)


def _strength_panel(axes: Axes, halves: Retest) -> None:
    strengths = halves.strengths
    networks = np.arange(len(strengths.icc))
    error = np.maximum([strengths.icc - strengths.icc_low, strengths.icc_high - strengths.icc], 0)
    style = {"ecolor": "black", "lw": 1}
    axes.bar(networks, strengths.icc, 0.5, yerr=error, color=ACCENT, error_kw=style, label="same text (95%)")
    axes.plot(
        networks, strengths.icc_content, "D", ms=5, mec="black", color=SECOND, label="another text alike"
    )
    axes.axhline(0, color="black", lw=0.6)
    lowest = np.nanmin([strengths.icc_low, strengths.icc_content], initial=0.0)
    axes.set_ylim(float(lowest) - 0.05, 1.02)
    axes.set_ylabel("ICC(3,1)")
    axes.set_title("Strength of a network in the first half of a text, and in the second half", fontsize=9)
    _legend(axes)


def _identification_panel(axes: Axes, halves: Retest) -> None:
    networks = np.arange(len(halves.own_similarity))
    axes.bar(networks - 0.25, halves.network_identification, 0.24, color=ACCENT, label="network, same text")
    axes.bar(networks, halves.network_identification_across, 0.24, color=RETEST, label="network, other texts")
    axes.bar(networks + 0.25, halves.text_identification, 0.24, color=GREY, label="text (its content)")
    axes.axhline(1 / len(networks), color=ACCENT, lw=0.8, ls="--", label="network by chance")
    axes.axhline(1 / halves.n_texts, color=GREY, lw=0.8, ls=":", label="text by chance")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share found")
    axes.set_title(
        "By its map in one half, found in the other: the network among networks, the text among texts",
        fontsize=9,
    )
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Draw the legend beside the panel, where it covers no data."""
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
