"""Figure of a fingerprint: correlations of all pairs of networks; the score beside nulls and references."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fbn_exp.analysis.fingerprint.analysis import FingerprintFindings, Likeness
from fbn_exp.analysis.fingerprint.scores import FingerprintNull
from fbn_exp.networks.matching import partners
from fbn_exp.report.style import ACCENT, GREY, SECOND, number_cells

NUMBERED_NETWORKS = 12


def fingerprint_figure(findings: FingerprintFindings, words: Mapping[FingerprintNull, str]) -> Figure:
    """Draw both; columns of the matrix are in the order of the rows' partners."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    matrix, scores = figure.subplots(1, 2, width_ratios=[1, 1.15])
    _correlations(matrix, findings.other, findings.model)
    _scores(scores, findings, words)
    verdict = "same origin is shown" if findings.shown else "same origin is not shown"
    figure.suptitle(f"{_short(findings.model)} and {_short(findings.other.model)}: {verdict}", fontsize=10)
    return figure


def _short(model: str) -> str:
    """Last two parts of a path, which are all of a name on the hub."""
    return "/".join(model.split("/")[-2:])


def _correlations(axes: Axes, other: Likeness, model: str) -> None:
    partner = [int(each) for each in partners(np.abs(other.correlations)) if each >= 0]
    order = partner + [each for each in range(other.correlations.shape[1]) if each not in set(partner)]
    values = other.correlations[:, order]
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label="Spearman ρ, mean over texts")
    axes.set_xlabel(f"network of {_short(other.model)}", fontsize=8)
    axes.set_ylabel(f"network of {_short(model)}", fontsize=8)
    if max(values.shape) <= NUMBERED_NETWORKS:
        axes.set_xticks(range(len(order)), [str(each) for each in order])
        axes.set_yticks(range(len(values)))
        number_cells(axes, values, np.abs(values) > 0.6)


def _scores(axes: Axes, findings: FingerprintFindings, words: Mapping[FingerprintNull, str]) -> None:
    """Draw the other model and the references with intervals, the nulls as all their draws."""
    labels: list[str] = []
    rows = [(findings.other, ACCENT), *((reference, SECOND) for reference in findings.references)]
    for likeness, colour in rows:
        low, high = likeness.interval
        place = len(labels)
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot([likeness.score], [place], "o", color=colour)
        kin = colour == ACCENT
        labels.append(_short(likeness.model) if kin else f"{_short(likeness.model)}\n(another origin)")
    for null in findings.nulls:
        spread = np.linspace(-0.25, 0.25, len(null.scores))
        axes.plot(null.scores, len(labels) + spread, ".", color=GREY, markersize=3)
        labels.append(words[null.kind])
    axes.axvline(findings.other.score, color=ACCENT, linewidth=0.7, linestyle=":")
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("mean |ρ| of matched networks; 95% intervals over texts", fontsize=8)
