"""Size of an edit in metrics, columns and words: its energy, and its change of the residual stream."""

import numpy as np

from fbn_exp.benchmarks.sizes import EditSizes
from fbn_exp.interventions.config import ControlKind

OWN = ("energy", "energy_share", "residual_change")


def size_metrics(sizes: EditSizes | None) -> dict[str, float]:
    """Metrics ``edit/…`` and the mean energy of each kind of control, ``edit/control/<kind>/energy``."""
    if sizes is None:
        return {}
    own = {name: getattr(sizes.own, name) for name in OWN}
    metrics = {f"edit/{name}": float(value) for name, value in own.items() if value is not None}
    return metrics | {f"edit/control/{kind.value}/energy": mean for kind, mean in _means(sizes).items()}


def size_metric_names() -> list[str]:
    """Names that ``size_metrics`` can have."""
    return [f"edit/{name}" for name in OWN] + [f"edit/control/{kind.value}/energy" for kind in ControlKind]


def size_columns(sizes: EditSizes | None) -> dict[str, float | None]:
    """Columns of the table of scores: energy and change of the edit, mean energy of each kind of control."""
    if sizes is None:
        return {}
    own = {name: getattr(sizes.own, name) for name in OWN}
    return own | {f"control_{kind.value}_energy": mean for kind, mean in _means(sizes).items()}


def size_in_words(sizes: EditSizes | None) -> list[str]:
    """Sentence on the size of the edit beside that of its controls."""
    if sizes is None:
        return []
    own = sizes.own
    words = f"Energy of the edit: {own.energy:.3g} per token, {100 * own.energy_share:.3g}% of all neurons'"
    if own.residual_change is not None:
        words += f"; it changes the residual stream by {100 * own.residual_change:.3g}%"
    means = ", ".join(f"{kind.value} {mean:.3g}" for kind, mean in _means(sizes).items())
    return [f"{words}.", *([f"Energy of the controls: {means}."] if means else [])]


def _means(sizes: EditSizes) -> dict[ControlKind, float]:
    return {kind: float(np.mean(energies)) for kind, energies in sizes.controls.items() if energies}
