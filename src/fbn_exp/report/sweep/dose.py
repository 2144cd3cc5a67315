"""Harm per energy over a sweep of doses: the area under harm against the energy that is removed."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fbn_exp.benchmarks.inference.bootstrap import BOOTSTRAPS
from fbn_exp.core.rows import Array, Indices
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.inference.words import kind_head
from fbn_exp.report.presentation import Presentation

NETWORKS = "networks"
# overrides that make a dose, or choose what the doses are of
DOSE = ("override/intervention.factor", "override/intervention.networks", "override/factor")


def other_settings(scores: pd.DataFrame) -> list[str]:
    """Columns of overrides that differ between jobs, other than the factor and the networks."""
    columns = [name for name in scores if str(name).startswith("override/") and name not in DOSE]
    return [str(name) for name in columns if scores[name].nunique(dropna=False) > 1]


def harm_per_energy(scores: pd.DataFrame, items: pd.DataFrame | None = None) -> pd.DataFrame:
    """Harm per energy of every intervention that was scored at several doses, and of its controls.

    Harm is the difference to the untouched model, positive where a score gets worse; it is 0 at no energy,
    and where the difference is rounding error. Only factors up to 1 count, which remove energy.

    Parameters
    ----------
    scores : DataFrame
        Rows of a sweep's table of scores.
    items : DataFrame, optional
        Values of items of all jobs, as for ``corrected``.

    Returns
    -------
    DataFrame
        A row per task, metric, networks, other settings and ``of``, which is ``networks`` or a kind of
        control. ``mean_harm`` is the area under the harm, over the range of energies (trapezoids);
        ``harm_per_energy`` is ``mean_harm`` over the mean of that range: the slope where harm is proportional
        to energy. ``ci_low`` and ``ci_high`` are the ends of its 95% interval over items, the same items at
        all doses (percentile bootstrap); NaN for controls, where the values of items are not at hand, and
        where no item differs, which leaves no width.
        Empty if energies or several doses are missing.
    """
    if scores.empty or "energy" not in scores or "factor" not in scores:
        return pd.DataFrame()
    settings = other_settings(scores)
    groups = scores.groupby(["task", "metric", "networks", *settings], sort=False, dropna=False)
    found = []
    for names, rows in groups:
        head = dict(zip(("task", "metric", "networks", *settings), names, strict=True))
        removing = rows[rows["factor"] <= 1]
        for whose, energy, harm in _curves(removing):
            if (curve := _Curve.of(energy, harm)) is not None:
                interval = (float("nan"),) * 2
                if whose == NETWORKS and items is not None:
                    interval = _interval(removing.iloc[curve.places], curve, items)
                found.append(
                    {**head, "of": whose, **curve.summary(), "ci_low": interval[0], "ci_high": interval[1]}
                )
    return pd.DataFrame(found)


def _curves(rows: pd.DataFrame) -> Iterator[tuple[str, Array, Array]]:
    """Yield whose, energy and harm, of the networks and of each kind of controls that has both."""
    columns = {NETWORKS: ("energy", "value")}
    columns |= {kind.value: (f"control_{kind.value}_energy", f"control_{kind.value}") for kind in ControlKind}
    for whose, (energy, value) in columns.items():
        if energy in rows and value in rows:
            values, baseline = (rows[name].to_numpy(dtype=float) for name in (value, "baseline"))
            harm = _signs(rows) * (values - baseline)
            harm[np.isclose(values, baseline, rtol=1e-9, atol=1e-9)] = 0.0
            yield whose, rows[energy].to_numpy(dtype=float), harm


def _signs(rows: pd.DataFrame) -> Array:
    """-1 for scores of which more is better."""
    signs: Array = np.where(rows["higher_is_better"].to_numpy(dtype=bool), -1.0, 1.0)
    return signs


@dataclass(frozen=True, eq=False)
class _Curve:
    """Harm over energy, which starts at none of either.

    Attributes
    ----------
    places : array of int, shape (D,)
        Rows of the doses in ascending order of energy.
    energy, harm : array of shape (D,)
        Energies above 0, all different, and harm at them.
    """

    places: Indices
    energy: Array
    harm: Array

    @classmethod
    def of(cls, energy: Array, harm: Array) -> "_Curve | None":
        """Curve of what is known; None for fewer than two doses."""
        known = np.flatnonzero(np.isfinite(energy) & np.isfinite(harm) & (energy > 0))
        doses, first = np.unique(energy[known], return_index=True)
        return cls(known[first], doses, harm[known][first]) if len(doses) > 1 else None

    @property
    def slopes(self) -> Array:
        """Weight of the harm at each dose in the harm per energy: trapezoids, over half the squared range."""
        x = np.concatenate([[0.0], self.energy])
        steps = np.diff(x)
        weights = steps.copy()
        weights[:-1] += steps[1:]
        weights /= x[-1] ** 2
        return weights

    def summary(self) -> dict[str, float]:
        """Columns of the table."""
        largest, slope = float(self.energy[-1]), float(self.slopes @ self.harm)
        return {
            "doses": float(len(self.energy)),
            "largest_energy": largest,
            "mean_harm": slope * largest / 2,
            "harm_per_energy": slope,
        }


def _interval(rows: pd.DataFrame, curve: _Curve, items: pd.DataFrame) -> tuple[float, float]:
    """95% interval over items; NaN where their values are not known at all doses, or none of them differs."""
    unknown = float("nan"), float("nan")
    if items.empty:
        return unknown
    of_doses = [
        items[(items[["job", "task", "metric"]] == row[["job", "task", "metric"]]).all(axis=1)]
        for _, row in rows.iterrows()
    ]
    n_items = {len(each) for each in of_doses}
    if len(n_items) > 1 or min(n_items) < 2:
        return unknown
    columns = ("value", "weight", "baseline", "baseline_weight")
    value, weight, before, weight_before = (
        np.stack([each.sort_values("item")[name].to_numpy(dtype=float) for each in of_doses])
        for name in columns
    )
    if not np.isfinite(np.stack([value, weight, before, weight_before])).all():
        return unknown
    n = value.shape[1]
    times = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=BOOTSTRAPS)
    with np.errstate(invalid="ignore", divide="ignore"):
        after = (times @ (weight * value).T) / (times @ weight.T)
        untouched = (times @ (weight_before * before).T) / (times @ weight_before.T)
        harm = _signs(rows) * (after - untouched)
    harm[np.isclose(after, untouched, rtol=1e-9, atol=1e-9)] = 0.0
    low, high = np.nanquantile(harm @ curve.slopes, [0.025, 0.975]).tolist()
    return (low, high) if low < high else unknown


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
    tasks = doses["task"].unique()
    exponent = _exponent(doses)
    rows = []
    for names, group in doses.groupby(keys, sort=False, dropna=False):
        head: dict[str, Hashable] = dict(zip(keys, names, strict=True))
        by_whose = group.set_index("of")
        scaled = by_whose[["harm_per_energy", "ci_low", "ci_high"]] * 10.0**exponent
        task = {} if len(tasks) == 1 else {"task": head["task"]}
        rows.append(
            {
                **task,
                "metric": head["metric"],
                "networks": head["networks"],
                **{_short(name): head[name] for name in settings},
                "harm": _number(scaled, NETWORKS),
                "95% interval": _interval_text(scaled),
                **{
                    kind_head(ControlKind(whose)): _number(scaled, whose)
                    for whose in dict.fromkeys(doses["of"])
                    if whose != NETWORKS
                },
            }
        )
    of_task = f" of {tasks[0]}" if len(tasks) == 1 else ""
    return Presentation(
        title=f"Harm{of_task} per energy of 1e{exponent}: its slope over the energy removed, over all doses",
        rows=pd.DataFrame(rows),
        words=("task", "metric", "networks", *map(_short, settings)),
        lines=["Controls by kind, at their own energies. Columns and energies: sweep/doses.csv."],
    )


def _exponent(doses: pd.DataFrame) -> int:
    """Power of ten of the energies, so that harm per energy is printed in numbers of ordinary size."""
    return int(np.floor(np.log10(doses.loc[doses["of"] == NETWORKS, "largest_energy"].median())))


def _number(scaled: pd.DataFrame, whose: str) -> str:
    return f"{float(scaled['harm_per_energy'][whose]):z.3g}" if whose in scaled.index else "–"


def _interval_text(scaled: pd.DataFrame) -> str:
    if NETWORKS not in scaled.index:
        return "–"
    low, high = float(scaled["ci_low"][NETWORKS]), float(scaled["ci_high"][NETWORKS])
    return "–" if np.isnan([low, high]).any() else f"{low:z.3g} … {high:z.3g}"


def _short(name: str) -> str:
    return name.removeprefix("override/").removeprefix("intervention.")
