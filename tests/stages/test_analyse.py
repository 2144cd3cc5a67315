"""Benchmarks that measure networks, through the whole stage; what Hydra adds, through the real script."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from in_process import composed
from scripts import TINY, finished, result_of
from wandb_files import recorded_runs

from fbn_exp.analysis.consistency import Consistency
from fbn_exp.analysis.keystones.analysis import Keystones
from fbn_exp.core.errors import BenchmarkError, ConfigError, LayoutError, MethodError
from fbn_exp.report.html.page import content_of
from fbn_exp.stages import evaluate, extract

SMALL = (*TINY, "dataset.n_texts=12", "analysis.dataset.n_texts=5")
CONSISTENCY = (
    *SMALL,
    "analysis=consistency",
    "analysis.n_components=4",
    "analysis.null_draws=20",
    "analysis.rotations=20",
)


@pytest.fixture(scope="session")
def run():
    """Run a stage in this process as the script would, on a config composed from overrides."""

    def run_stage(script: str, folder: Path, *overrides: str) -> dict[str, float]:
        cache = f"cache={folder.parent / 'cache'}"
        cfg = composed("tracking=none", cache, *overrides, script=script, folder=folder)
        {"extract": extract, "evaluate": evaluate}[script].run(cfg)
        return result_of(folder)["metrics"]

    return run_stage


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Templates of one corpus in texts of two."""
    folder = tmp_path_factory.mktemp("pairs")
    texts = "dataset@analysis.dataset=wiki,math"
    places = (f"cache={folder / 'cache'}", f"hydra.sweep.dir={folder / 'sweep'}")
    return folder, finished("evaluate.py", "-m", *CONSISTENCY, texts, *places)


def test_consistency_gives_counts_chance_levels_and_retest_of_every_template(pairs):
    folder, done = pairs
    result = result_of(folder / "sweep" / "0")
    metrics = result["metrics"]
    assert {name.partition("/")[0] for name in metrics} <= set(Consistency.families)
    for name in ("count", "count_chance", "count_p_value", "matched_iou", "matched_r", "icc"):
        assert f"network/3/{name}" in metrics
    counts = sum(metrics[f"network/{index}/count"] for index in range(4))
    assert counts == metrics["consistency/count_total"]
    assert metrics["consistency/individual_networks"] == 20
    assert 0 < metrics["consistency/count_total/p_value"] <= 1
    assert {"tables/consistency", "tables/matches", "figures/consistency"} <= set(result["artifacts"])
    matches = pd.read_csv(folder / "sweep" / "0" / "tables" / "matches.csv")
    assert matches["count"].sum() == counts
    assert "the configured intervention is not applied" in done.stderr
    assert "5 texts, 20 individual networks" in done.stderr
    assert (folder / "sweep" / "0" / "figures" / "consistency.png").stat().st_size > 5_000


def test_consistency_reaches_the_tracker(pairs):
    folder, _ = pairs
    (tracked,) = recorded_runs(folder / "sweep" / "0")
    metrics = result_of(folder / "sweep" / "0")["metrics"]
    assert tracked.summary["consistency/count_total"] == metrics["consistency/count_total"]
    assert tracked.media("consistency").is_file()


def test_a_sweep_over_corpora_ends_in_a_table_of_jobs_and_a_heat_map(pairs):
    folder, _ = pairs
    jobs = pd.read_csv(folder / "sweep" / "sweep" / "jobs.csv")
    assert len(jobs) == 2
    assert jobs["error"].isna().all()
    assert jobs["consistency/count_rate"].notna().all()
    assert (folder / "sweep" / "sweep" / "figures" / "consistency.png").stat().st_size > 5_000
    (tracked,) = recorded_runs(folder / "sweep" / "sweep")
    assert tracked.summary["jobs"] == 2


@pytest.fixture(scope="module")
def extracted(tmp_path_factory, run):
    """Networks of one layout from two corpora, and of another layout."""
    folder = tmp_path_factory.mktemp("extracted")
    for name, more in (("a", []), ("b", ["dataset=news"]), ("narrow", ["model.random.hidden_size=32"])):
        run("extract", folder / name, *TINY, *more, "figures.max_networks=0")
    return folder


def test_overlap_compares_two_folders_without_a_model(extracted, tmp_path, run):
    # the model is neither loaded nor asked for its weights
    metrics = run(
        "evaluate",
        tmp_path / "run",
        "model.name=/nowhere",
        "analysis=overlap",
        f"networks={extracted / 'a' / 'networks'}",
        f"analysis.other={extracted / 'b' / 'networks'}",
        "objective=overlap/matched_iou",
    )
    table = pd.read_csv(tmp_path / "run" / "tables" / "overlap.csv")
    assert metrics["overlap/matched_iou"] == pytest.approx(table["matched_iou"].mean())
    assert sorted(table["partner"]) == [0, 1, 2, 3]
    assert (tmp_path / "run" / "figures" / "overlap_between.png").stat().st_size > 5_000


def test_networks_overlap_wholly_with_themselves(extracted, tmp_path, run):
    same = extracted / "a" / "networks"
    metrics = run(
        "evaluate", tmp_path / "run", "analysis=overlap", f"networks={same}", f"analysis.other={same}"
    )
    assert metrics["overlap/matched_iou"] == 1
    assert metrics["overlap/matched_iou/p_value"] == pytest.approx(1 / 1001)
    assert [metrics[f"network/{index}/partner"] for index in range(4)] == [0, 1, 2, 3]
    assert metrics["overlap/matched_iou/chance_masks"] < 0.5


def test_networks_of_other_layouts_do_not_overlap(extracted, tmp_path, run):
    networks = f"networks={extracted / 'a' / 'networks'}"
    other = f"analysis.other={extracted / 'narrow' / 'networks'}"
    with pytest.raises(LayoutError, match=r"4 × 32 neurons.*4 × 64 neurons.*same neurons overlap"):
        run("evaluate", tmp_path / "run", "analysis=overlap", networks, other)


def test_connectivity_of_networks_in_a_folder(extracted, tmp_path, run):
    networks = f"networks={extracted / 'a' / 'networks'}"
    overrides = (*TINY, "analysis=connectivity", "analysis.dataset.n_texts=6", networks)
    metrics = run("evaluate", tmp_path / "run", *overrides)
    assert len(pd.read_csv(tmp_path / "run" / "tables" / "connectivity.csv")) == 6
    assert metrics["connectivity/texts"] == 6
    assert 0 <= metrics["network/0/connectivity"] <= 1
    with pytest.raises(
        ConfigError, match=r"set signals\.first_tokens_excluded=1 signals\.standardise=zscore"
    ):
        run("evaluate", tmp_path / "other", *overrides, "signals=paper")


def test_keystones_are_scanned_once_and_label_the_report(extracted, tmp_path, run, caplog):
    """Every scanned neuron whose removal costs anything counts as a keystone here."""
    report = tmp_path / "a" / "report.html"
    shutil.copytree(extracted / "a", tmp_path / "a")
    overrides = (
        *(*TINY, "analysis=keystones", "analysis.n_neurons=6", "analysis.dataset.n_texts=3"),
        *("analysis.minimum_nats=1e-9", f"networks={tmp_path / 'a' / 'networks'}"),
    )
    metrics = run("evaluate", tmp_path / "run", *overrides, "objective=keystones/count")
    table = pd.read_csv(tmp_path / "run" / "tables" / "keystones.csv")
    assert {name.partition("/")[0] for name in metrics} <= set(Keystones.families)
    assert metrics["keystones/scanned"] == len(table) == 6
    assert metrics["keystones/count"] == table["keystone"].sum() == (table["nats"] > 1e-9).sum() > 0
    assert metrics["keystones/largest_nats"] == pytest.approx(table["nats"].max())
    assert len(pd.read_csv(tmp_path / "run" / "tables" / "keystone_attention.csv")) == 4
    assert (tmp_path / "run" / "figures" / "keystones.png").stat().st_size > 5_000
    # nothing here costs as much as the report's threshold of a keystone
    assert [card["keystones"] for card in content_of(report)["networks"]] == [[]] * 4
    caplog.clear()
    again = run("evaluate", tmp_path / "again", *overrides)
    assert "losses with neurons at 0 are computed" not in caplog.text
    assert again == metrics


def test_the_report_of_an_extraction_after_a_scan_knows_its_keystones(tmp_path, run):
    scanned = ("analysis=keystones", "analysis.n_neurons=3", "analysis.dataset.n_texts=3")
    run("evaluate", tmp_path / "scan", *TINY, *scanned)
    run("extract", tmp_path / "networks", *TINY, "figures.max_networks=0", "figures.dpi=20")
    cards = content_of(tmp_path / "networks" / "report.html")["networks"]
    assert [card["keystones"] for card in cards] == [[]] * 4


def test_consistency_asks_the_networks_not_the_method_whether_they_are_of_single_blocks(tmp_path, run):
    lean = ("figures.max_networks=0", "figures.dpi=20")
    for name, per_block in (("whole", "false"), ("blocks", "true")):
        run("extract", tmp_path / name, *TINY, *lean, f"method.per_block={per_block}", "method.max_starts=1")
    networks = {name: f"networks={tmp_path / name / 'networks'}" for name in ("whole", "blocks")}
    with pytest.raises(BenchmarkError, match="sought in each block by itself"):
        run("evaluate", tmp_path / "refused", *CONSISTENCY, networks["blocks"])
    few = ("analysis.dataset.n_texts=2", "method.per_block=true")
    assert "consistency/count_rate" in run(
        "evaluate", tmp_path / "run", *CONSISTENCY, networks["whole"], *few
    )


@pytest.mark.parametrize("analysis", ["consistency", "connectivity", "overlap", "order", "keystones"])
def test_an_objective_of_another_family_is_refused_before_a_model_loads(analysis, tmp_path, run, caplog):
    overrides = [*TINY, f"analysis={analysis}", "objective=perplexity_wiki/nats_per_token"]
    if analysis == "overlap":
        (tmp_path / "networks.json").touch()
        overrides.append(f"analysis.other={tmp_path}")
    with pytest.raises(ConfigError, match=f"the metrics of this analysis begin with {analysis}/"):
        run("evaluate", tmp_path / "run", *overrides)
    assert "loading" not in caplog.text


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        (["analysis.dataset.split=train"], BenchmarkError, "among those that the networks"),
        (["analysis.n_components=200"], MethodError, r"text 0 of 5.*analysis\.dataset\.min_tokens"),
        (["export.path=x"], ConfigError, "applies no intervention: leave out select_factor and export"),
        (["objective=nothing"], ConfigError, "objective is 'nothing'"),
    ],
)
def test_what_cannot_be_measured_is_said(overrides, error, said, tmp_path, run):
    with pytest.raises(error, match=said):
        run("evaluate", tmp_path / "run", *CONSISTENCY, *overrides)
