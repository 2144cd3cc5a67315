"""Size of an edit in metrics, columns and words: its energy, and its change of the residual stream."""

from collections.abc import Collection, Mapping

import numpy as np

from fbn_exp.benchmarks.sizes import EditSizes
from fbn_exp.interventions.config import ControlKind

OWN = ("energy", "energy_share", "residual_change")
# results whose energy is said, where each has a factor of its own
MOST_SAID = 4


def size_metrics(sizes: Mapping[str, EditSizes]) -> dict[str, float]:
    """Metrics ``edit/…`` and the mean energy of each kind of control, ``edit/control/<kind>/energy``.

    Where factors were chosen for each ``<task>/<metric>``, so that sizes differ, its name follows.
    """
    one = _common(sizes)
    if one is not None:
        return _metrics(one)
    return {
        f"{metric}/{name}": value for name, each in sizes.items() for metric, value in _metrics(each).items()
    }


def size_metric_names(scores: Collection[str]) -> list[str]:
    """Names that ``size_metrics`` can have, by the names of the scores."""
    plain = [f"edit/{name}" for name in OWN] + [f"edit/control/{kind.value}/energy" for kind in ControlKind]
    return plain + [f"{metric}/{name}" for metric in plain for name in scores]


def size_columns(sizes: EditSizes | None) -> dict[str, float | None]:
    """Columns of the table of scores: energy and change of the edit, mean energy of each kind of control."""
    if sizes is None:
        return {}
    own = {name: getattr(sizes.own, name) for name in OWN}
    return own | {f"control_{kind.value}_energy": mean for kind, mean in _means(sizes).items()}


def size_in_words(sizes: Mapping[str, EditSizes]) -> list[str]:
    """Sentences on the size of the edit beside that of its controls."""
    one = _common(sizes)
    if one is None:
        said = [f"{name} {each.own.energy:.3g}" for name, each in list(sizes.items())[:MOST_SAID]]
        more = f" … {len(sizes) - MOST_SAID} more in tables/scores.csv" if len(sizes) > MOST_SAID else ""
        return [f"Energy of the edit per token, at each chosen factor: {', '.join(said)}{more}."] * bool(said)
    own = one.own
    words = f"Energy of the edit: {own.energy:.3g} per token, {100 * own.energy_share:.3g}% of all neurons'"
    if own.residual_change is not None:
        words += f"; it changes the residual stream by {100 * own.residual_change:.3g}%"
    means = ", ".join(f"{kind.value} {mean:.3g}" for kind, mean in _means(one).items())
    return [f"{words}.", *([f"Energy of the controls: {means}."] if means else [])]


def _common(sizes: Mapping[str, EditSizes]) -> EditSizes | None:
    """Sizes that all scores have; None if they differ, or there are none."""
    different = list(sizes.values())
    return different[0] if different and all(each == different[0] for each in different) else None


def _metrics(sizes: EditSizes) -> dict[str, float]:
    own = {name: getattr(sizes.own, name) for name in OWN}
    metrics = {f"edit/{name}": float(value) for name, value in own.items() if value is not None}
    return metrics | {f"edit/control/{kind.value}/energy": mean for kind, mean in _means(sizes).items()}


def _means(sizes: EditSizes) -> dict[ControlKind, float]:
    return {kind: float(np.mean(energies)) for kind, energies in sizes.controls.items() if energies}
