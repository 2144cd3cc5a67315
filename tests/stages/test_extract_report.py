"""An extraction writes a report, and the lesion of one of its networks shows in it."""

import json

import pandas as pd
import pytest
from in_process import composed

from fbn_exp.report.html.page import content_of
from fbn_exp.stages import evaluate, extract

TINY = (
    "model=tiny",
    "tracking=none",
    "dataset.n_texts=16",
    "dataset.tokens_per_text=48",
    "method.n_components=4",
)
LESION = (
    "intervention=inhibit",
    "intervention.networks=[2]",
    "benchmark.dataset.n_texts=4",
    "controls.repeats=2",
)
# its factor is 0 until one is chosen
CHOSEN = (
    "intervention=scale",
    "intervention.networks=[1]",
    "intervention.factor=0",
    "select_factor=true",
    "factors=[0.5,1.5]",
    "benchmark.dataset.n_texts=2",
    "controls.repeats=1",
)


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An extraction, the lesion of one of its networks, another scaled, and the same extraction again."""
    folder = tmp_path_factory.mktemp("report")
    small = (*TINY, "figures.max_networks=1", "figures.dpi=20", f"cache={folder / 'cache'}")

    def extracted(name):
        extract.run(composed(*small, folder=folder / name))

    extracted("first")
    (folder / "before.html").write_bytes((folder / "first" / "report.html").read_bytes())
    networks = f"networks={folder / 'first' / 'networks'}"
    for name, overrides in (("lesion", LESION), ("chosen", CHOSEN)):
        cfg = composed(*small, *overrides, networks, script="evaluate", folder=folder / name)
        evaluate.run(cfg)
    extracted("again")
    return folder


def test_the_run_folder_holds_the_report_and_the_drivers(folder):
    result = result_of(folder / "first")
    assert result["artifacts"]["report"] == "report.html"
    table = pd.read_csv(folder / "first" / "tables" / "drivers.csv", keep_default_na=False)
    assert len(table) == 4
    assert [each["label"] for each in content_of(folder / "before.html")["networks"]] == list(table["label"])
    for name in ("kurtosis", "massive_share", "driver_position", "driver_first_token", "first_token_energy"):
        for index, value in enumerate(table[name]):
            found = result["metrics"].get(f"network/{index}/{name}")
            assert value == "" if found is None else float(value) == pytest.approx(found)
    # one corpus: its driver does not apply
    assert not any(name.endswith("driver_domain") for name in result["metrics"])


def test_a_factor_that_was_chosen_is_no_lesion(folder):
    metrics = result_of(folder / "chosen")["metrics"]
    assert metrics["factors_tried"] == 2
    assert metrics["selected_factor/perplexity_wiki/nats_per_token"] in (0.5, 1.5)
    assert {each["network"] for each in content_of(folder / "again" / "report.html")["lesions"]} == {2}


def test_a_lesion_shows_in_the_report_at_once_and_in_that_of_the_same_networks_made_again(folder):
    assert content_of(folder / "before.html")["lesions"] == []
    metrics = result_of(folder / "lesion")["metrics"]
    for run in ("first", "again"):
        lesions = content_of(folder / run / "report.html")["lesions"]
        names = {f"{each['task']}/{each['metric']}": each for each in lesions}
        assert {f"delta/{name}" for name in names} <= set(metrics)
        assert "perplexity_wiki/nats_per_token" in names
        for name, each in names.items():
            assert (each["network"], each["controls"]) == (2, 10)
            assert each["delta"] == pytest.approx(metrics[f"delta/{name}"])
    before, after = (content_of(folder / each) for each in ("before.html", "first/report.html"))
    assert {**before, "lesions": None} == {**after, "lesions": None}
