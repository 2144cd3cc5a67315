"""Harm per energy of doses, computed by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from fbn_exp.report.sweep.dose import dose_metrics, harm_per_energy, present_doses


def row(factor, energy, value, networks="3", metric="kl", better=False, **more):
    return {
        "task": "tales",
        "metric": metric,
        "networks": networks,
        "factor": factor,
        "energy": energy,
        "value": value,
        "baseline": 0.0,
        "higher_is_better": better,
        "override/intervention.factor": str(factor),
        "override/intervention.networks": f"[{networks}]",
    } | more


def test_it_is_the_slope_where_harm_is_proportional_to_energy():
    doses = harm_per_energy(pd.DataFrame([row(0.0, 8.0, 4.0), row(0.5, 2.0, 1.0), row(1.0, 0.0, 0.0)]))
    (found,) = doses.to_dict("records")
    assert (found["of"], found["doses"], found["largest_energy"]) == ("networks", 2, 8)
    # the triangle under 0 .. 8 has the mean height 2
    assert (found["mean_harm"], found["harm_per_energy"]) == (2.0, 0.5)
    assert dose_metrics(doses) == {"harm_per_energy/tales/kl/networks_3": 0.5}


def test_the_area_is_that_of_trapezoids_from_no_harm_on():
    rows = [row(0.0, 4.0, 5.0), row(0.5, 1.0, 3.0)]
    (found,) = harm_per_energy(pd.DataFrame(rows)).to_dict("records")
    area = 1 * 3 / 2 + 3 * (3 + 5) / 2
    assert found["mean_harm"] == area / 4
    assert found["harm_per_energy"] == area / 4 / 2


def test_a_fall_of_a_score_is_harm():
    rows = [row(0.0, 2.0, -1.0, metric="acc", better=True), row(0.5, 1.0, -0.5, metric="acc", better=True)]
    (found,) = harm_per_energy(pd.DataFrame(rows)).to_dict("records")
    assert found["harm_per_energy"] == 0.5


def test_controls_are_measured_by_their_own_energy():
    rows = [
        row(0.0, 8.0, 4.0, control_random=1.0, control_random_energy=4.0, control_noise=math.nan),
        row(0.5, 2.0, 1.0, control_random=0.25, control_random_energy=1.0, control_noise=math.nan),
    ]
    doses = harm_per_energy(pd.DataFrame(rows))
    assert doses["of"].tolist() == ["networks", "random"]
    assert doses["harm_per_energy"].tolist() == [0.5, 0.25]
    assert dose_metrics(doses)["harm_per_energy/tales/kl/networks_3/control/random"] == 0.25


def test_networks_and_other_settings_are_curves_of_their_own():
    fill = "override/intervention.fill"
    rows = [
        row(factor, energy, scale * energy, networks, **{fill: name})
        for networks in ("3", "all")
        for name, scale in (("zero", 2.0), ("mean", 1.0))
        for factor, energy in ((0.0, 4.0), (0.5, 1.0))
    ]
    doses = harm_per_energy(pd.DataFrame(rows))
    assert doses["harm_per_energy"].tolist() == [2.0, 1.0, 2.0, 1.0]
    assert "harm_per_energy/tales/kl/networks_all/fill=mean" in dose_metrics(doses)
    shown = present_doses(doses)
    assert shown.rows["fill"].tolist() == ["zero", "mean"] * 2
    assert shown.rows["harm"].tolist() == ["2", "1"] * 2
    assert "of tales per energy of 1e0" in shown.title


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(0.0, 4.0, 1.0)],
        # amplification adds energy
        [row(1.5, 4.0, 1.0), row(2.0, 16.0, 1.0), row(0.0, 2.0, 1.0)],
        [row(0.0, None, 1.0), row(0.5, None, 1.0)],
        [row(0.0, 4.0, math.nan), row(0.5, 1.0, 1.0)],
    ],
)
def test_fewer_than_two_doses_have_none(rows):
    assert harm_per_energy(pd.DataFrame(rows)).empty


def test_tables_of_earlier_versions_have_no_energy():
    rows = pd.DataFrame([row(0.0, 4.0, 1.0), row(0.5, 1.0, 1.0)])
    assert harm_per_energy(rows.drop(columns="energy")).empty


def test_no_harm_is_0_also_after_rounding():
    rows = [row(0.0, 4.0, 1e-12, control_energy=-1e-13, control_energy_energy=4.0), row(0.5, 1.0, -1e-13)]
    rows[1] |= {"control_energy": 1e-14, "control_energy_energy": 1.0}
    doses = harm_per_energy(pd.DataFrame(rows))
    assert doses["harm_per_energy"].tolist() == [0.0, 0.0]
    assert present_doses(doses).rows[["harm", "energy"]].to_numpy().tolist() == [["0", "0"]]


def test_the_interval_is_that_of_items_drawn_for_all_doses_together():
    """Harm per energy is a mean over items: its standard error is that of their own slopes."""
    rng = np.random.default_rng(0)
    slopes = rng.normal(1.0, 0.3, size=200)
    rows, tables = [], []
    for job, (factor, energy) in enumerate([(0.0, 4.0), (0.5, 1.0)]):
        rows.append({"job": str(job), **row(factor, energy, float((slopes * energy).mean()))})
        values = {"value": slopes * energy, "baseline": 0.0, "weight": 1.0, "baseline_weight": 1.0}
        head = {"job": str(job), "task": "tales", "metric": "kl", "item": range(200)}
        tables.append(pd.DataFrame({**head, **values}))
    (found,) = harm_per_energy(pd.DataFrame(rows), pd.concat(tables)).to_dict("records")
    assert found["harm_per_energy"] == pytest.approx(slopes.mean())
    half = 1.96 * slopes.std(ddof=1) / 200**0.5
    expected = (slopes.mean() - half, slopes.mean() + half)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(expected, abs=0.1 * half)
    shown = present_doses(pd.DataFrame([found])).rows["95% interval"].item()
    assert shown == f"{found['ci_low']:.3g} … {found['ci_high']:.3g}"


def test_items_that_do_not_differ_leave_no_interval():
    rows = pd.DataFrame([{"job": "0", **row(0.0, 4.0, 0.0)}, {"job": "1", **row(0.5, 1.0, 0.0)}])
    values = np.random.default_rng(0).normal(size=30)
    head = {"task": "tales", "metric": "kl", "item": range(30), "weight": 1.0, "baseline_weight": 1.0}
    items = pd.concat(
        [
            pd.DataFrame({"job": job, **head, "value": values + rounding, "baseline": values})
            for job, rounding in (("0", 0.0), ("1", 1e-13))
        ]
    )
    (found,) = harm_per_energy(rows, items).to_dict("records")
    assert found["harm_per_energy"] == 0
    assert present_doses(pd.DataFrame([found])).rows["95% interval"].item() == "–"


def test_without_the_items_of_a_dose_there_is_no_interval():
    rows = pd.DataFrame([{"job": "0", **row(0.0, 4.0, 4.0)}, {"job": "1", **row(0.5, 1.0, 1.0)}])
    one = {"job": "0", "task": "tales", "metric": "kl", "item": [0, 1], "value": [4.0, 4.0]}
    items = pd.DataFrame({**one, "baseline": 0.0, "weight": 1.0, "baseline_weight": 1.0})
    (found,) = harm_per_energy(rows, items).to_dict("records")
    assert math.isnan(found["ci_low"])
    assert present_doses(pd.DataFrame([found])).rows["95% interval"].item() == "–"
