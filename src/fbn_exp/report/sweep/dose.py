"""Harm per energy over a sweep of doses: the area under harm against the energy that is removed."""

from collections.abc import Hashable, Iterator

import numpy as np
import pandas as pd

from fbn_exp.core.rows import Array
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.presentation import Presentation

NETWORKS = "networks"
# overrides that make a dose, or choose what the doses are of
DOSE = ("override/intervention.factor", "override/intervention.networks", "override/factor")


def other_settings(scores: pd.DataFrame) -> list[str]:
    """Columns of overrides that differ between jobs, other than the factor and the networks."""
    columns = [name for name in scores if str(name).startswith("override/") and name not in DOSE]
    return [str(name) for name in columns if scores[name].nunique(dropna=False) > 1]


def harm_per_energy(scores: pd.DataFrame) -> pd.DataFrame:
    """Harm per energy of every intervention that was scored at several doses, and of its controls.

    Harm is the difference to the untouched model, positive where a score gets worse; it is 0 at no energy.
    Only factors up to 1 count, which remove energy.

    Parameters
    ----------
    scores : DataFrame
        Rows of a sweep's table of scores.

    Returns
    -------
    DataFrame
        A row per task, metric, networks, other settings and ``of``, which is ``networks`` or a kind of
        control. ``mean_harm`` is the area under the harm, over the range of energies (trapezoids);
        ``harm_per_energy`` is ``mean_harm`` over the mean of that range: the slope where harm is proportional
        to energy. Empty if energies or several doses are missing.
    """
    if scores.empty or "energy" not in scores or "factor" not in scores:
        return pd.DataFrame()
    settings = other_settings(scores)
    groups = scores.groupby(["task", "metric", "networks", *settings], sort=False, dropna=False)
    found = []
    for names, rows in groups:
        head = dict(zip(("task", "metric", "networks", *settings), names, strict=True))
        for whose, energy, harm in _curves(rows[rows["factor"] <= 1]):
            if (summary := _summary(energy, harm)) is not None:
                found.append({**head, "of": whose, **summary})
    return pd.DataFrame(found)


def _curves(rows: pd.DataFrame) -> Iterator[tuple[str, Array, Array]]:
    """Yield whose, energy and harm, of the networks and of each kind of controls that has both."""
    sign = np.where(rows["higher_is_better"].to_numpy(dtype=bool), -1.0, 1.0)
    columns = {NETWORKS: ("energy", "value")}
    columns |= {kind.value: (f"control_{kind.value}_energy", f"control_{kind.value}") for kind in ControlKind}
    for whose, (energy, value) in columns.items():
        if energy in rows and value in rows:
            harm = sign * (rows[value] - rows["baseline"]).to_numpy(dtype=float)
            yield whose, rows[energy].to_numpy(dtype=float), harm


def _summary(energy: Array, harm: Array) -> dict[str, float] | None:
    """Area of a curve that starts at no energy and no harm; None for fewer than two doses."""
    known = np.isfinite(energy) & np.isfinite(harm) & (energy > 0)
    doses, first = np.unique(energy[known], return_index=True)
    if len(doses) < 2:
        return None
    x, y = np.concatenate([[0.0], doses]), np.concatenate([[0.0], harm[known][first]])
    mean = float(np.trapezoid(y, x) / x[-1])
    return {
        "doses": float(len(doses)),
        "largest_energy": float(x[-1]),
        "mean_harm": mean,
        "harm_per_energy": mean / (x[-1] / 2),
    }


def dose_metrics(doses: pd.DataFrame) -> dict[str, float]:
    """Metrics ``harm_per_energy/<task>/<metric>/networks_<…>``, with other settings, and of controls by kind.

    Parameters
    ----------
    doses : DataFrame
        Result of ``harm_per_energy``.
    """
    settings = [str(name) for name in doses if str(name).startswith("override/")]
    metrics = {}
    for row in doses.to_dict("records"):
        parts = [row["task"], row["metric"], f"networks_{row['networks']}"]
        parts += [f"{_short(name)}={row[name]}" for name in settings]
        of = [] if row["of"] == NETWORKS else ["control", row["of"]]
        metrics["/".join(["harm_per_energy", *parts, *of])] = float(row["harm_per_energy"])
    return metrics


def present_doses(doses: pd.DataFrame) -> Presentation:
    """Present harm per energy as a table with a row per curve of the networks and a column per control."""
    settings = [str(name) for name in doses if str(name).startswith("override/")]
    keys = ["task", "metric", "networks", *settings]
    rows = []
    for names, group in doses.groupby(keys, sort=False, dropna=False):
        head: dict[str, Hashable] = dict(zip(keys, names, strict=True))
        by_whose = group.set_index("of")["harm_per_energy"]
        rows.append(
            {
                "task / metric": f"{head['task']}/{head['metric']}",
                "networks": head["networks"],
                **{_short(name): head[name] for name in settings},
                **{
                    "harm per\nenergy" if whose == NETWORKS else f"{whose}\ncontrols": _cell(by_whose, whose)
                    for whose in dict.fromkeys(doses["of"])
                },
            }
        )
    return Presentation(
        title="Harm per energy: slope of the harm over the energy that is removed, over all doses",
        rows=pd.DataFrame(rows),
        words=("task / metric", "networks", *map(_short, settings)),
    )


def _cell(by_whose: "pd.Series[float]", whose: str) -> str:
    return f"{by_whose[whose]:.3g}" if whose in by_whose.index else "–"


def _short(name: str) -> str:
    return name.removeprefix("override/").removeprefix("intervention.")
