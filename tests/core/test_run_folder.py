import json
import math

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fbn_exp.core.run_folder import RunFolder
from fbn_exp.report.console import remarks

ODD = st.text(
    st.sampled_from("\r\n\t,;\"'\\ NA1é\x00") | st.characters(exclude_categories=["Cs"]), max_size=5
)
CALM = {
    "signals/tokens": 100.0,
    "signals/outlier_tokens": 2.0,
    "signals/outlier_share": 0.01,
    "signals/row_norm_largest": 9.0,
    "signals/row_norm_median": 3.0,
    "networks/empty": 0.0,
}


def read(folder):
    return json.loads((folder / "result.json").read_text())


def test_numbers_are_on_disk_as_soon_as_they_are_known(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run", "extract")
    folder.add_metrics({"size": 3, "share": 0.5}, prefix="network/0/")
    assert read(folder.path) == {
        "stage": "extract",
        "metrics": {"network/0/size": 3.0, "network/0/share": 0.5},
        "artifacts": {},
    }
    folder.add_metrics({"nothing": math.nan})
    assert math.isnan(read(folder.path)["metrics"]["nothing"])
    assert [file.name for file in folder.path.iterdir()] == ["result.json"]


@example(tokens=["\r"])
@given(tokens=st.lists(ODD, min_size=1, max_size=6))
def test_any_text_comes_back_from_a_table(tokens, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("run"), "extract")
    frame = pd.DataFrame({"token": tokens, "strength": [0.1 * index for index in range(len(tokens))]})
    folder.add_table("strongest", frame)
    again = pd.read_csv(
        folder.path / read(folder.path)["artifacts"]["tables/strongest"],
        keep_default_na=False,
        dtype={"token": str},
    )
    assert again["token"].tolist() == tokens
    assert again["strength"].tolist() == frame["strength"].tolist()


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"converged": 1, "n_iterations": 12}, "ICA converged in 12 iterations."),
        ({"converged": 1, "n_steps": 69}, "The dictionary settled after 69 steps."),
        (
            {"converged": 0, "n_steps": 340},
            "The dictionary did not settle in 340 steps: raise method.epochs.",
        ),
        ({"converged": 0, "steps": 5}, "The method did not converge."),
        ({"converged": 0.5, "blocks_decomposed": 4}, "The method converged in 50% of 4 blocks."),
    ],
)
def test_a_reader_is_told_how_the_method_ended(metrics, said):
    assert remarks(CALM | {f"method/{name}": value for name, value in metrics.items()})[0] == said


def test_calm_signals_need_no_remark():
    assert remarks(CALM) == []


def test_a_reader_is_told_of_outliers_missing_convergence_and_empty_networks():
    (first, advice) = remarks(CALM | {"signals/outlier_share": 0.8})
    assert "2 of 100 tokens hold 80% of the signals' energy" in first
    assert "signals=stable" in advice
    stopped = {"method/converged": 0.0, "method/n_iterations": 400.0, "method/last_change": 0.012}
    (first,) = remarks(CALM | stopped)
    assert "did not converge in 400 iterations (last change 1.2e-02)" in first
    assert remarks(CALM | {"networks/empty": 3.0}) == ["3 networks have no neuron at this threshold."]
