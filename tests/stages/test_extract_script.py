"""extract.py end to end, through the real script."""

import json

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scripts import TINY, finished, result_of
from wandb_files import recorded_runs

from fbn_exp.networks.artifact import FunctionalNetworks


def test_a_dry_run_leaves_networks_tables_pictures_and_numbers(tmp_path):
    texts = tmp_path / "my.jsonl"
    lines = [json.dumps({"text": f"Text number {i}: {'ab cd '[i % 5 :] * 9}", "n": i}) for i in range(12)]
    texts.write_text("\n".join(lines))
    run = tmp_path / "run"
    overrides = ("dataset=files", f"dataset.paths=[{texts}]", "dataset.field=text", "site=mlp_hidden")
    done = finished("extract.py", *TINY, *overrides, "tracking=none", f"hydra.run.dir={run}")

    result = result_of(run)
    assert result["stage"] == "extract"
    assert result["metrics"]["networks"] == 4
    assert all(isinstance(value, float) for value in result["metrics"].values())
    assert all((run / path).exists() for path in result["artifacts"].values())
    networks = FunctionalNetworks.load(run / "networks")
    assert networks.maps.shape == (4, 4 * 96)
    assert (run / ".hydra" / "config.yaml").is_file()
    assert (run / "extract.log").read_text()
    assert "Found 4 networks" in done.stderr
    assert "overview.png" in done.stderr


def test_a_sweep_is_one_group_of_wandb_runs_with_networks_pictures_and_tables(tmp_path):
    sweep = tmp_path / "sweep"
    finished("extract.py", "-m", *TINY, "dataset=news,code", f"hydra.sweep.dir={sweep}")
    runs = {}
    for job, corpus in enumerate(("news", "code")):
        (runs[corpus],) = recorded_runs(sweep / str(job))
        metrics = result_of(sweep / str(job))["metrics"]
        assert runs[corpus].summary["explained_variance"] == pytest.approx(metrics["explained_variance"])
        assert f"dataset={corpus}" in runs[corpus].run["display_name"]
        assert runs[corpus].config["method"]["n_components"] == 4
        assert [each["type"] for each in runs[corpus].artifacts.values()].count("networks") == 1
        assert runs[corpus].media("figures/overview").is_file()
        assert runs[corpus].media("strongest_tokens").is_file()
        assert runs[corpus].exit_code == 0
    assert {run.run["run_group"] for run in runs.values()} == {str(sweep)}
    assert {run.run["job_type"] for run in runs.values()} == {"extract"}


@pytest.fixture(scope="module")
def embedded_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    overrides = ("dataset.n_texts=12", "dataset.tokens_per_text=64", "signals=stable", "tracking=none")
    for run in ("first", "second"):
        finished("extract.py", *overrides, f"hydra.run.dir={folder / run}")
    return folder


@pytest.mark.slow
def test_networks_of_the_embedded_model_are_identical_from_run_to_run(embedded_runs):
    first, second = (
        load_file(embedded_runs / run / "networks" / "networks.safetensors") for run in ("first", "second")
    )
    assert torch.equal(first["maps"], second["maps"])
    assert first["maps"].shape == (10, 30 * 576)


@pytest.mark.slow
def test_strongest_tokens_of_the_embedded_model_are_shown_in_their_context(embedded_runs):
    tokens = pd.read_csv(embedded_runs / "first" / "tables" / "strongest_tokens.csv", keep_default_na=False)
    assert len(tokens) == 10 * 10
    # stable signals leave out each text's first token
    assert tokens["position"].min() >= 1
    assert tokens["origin"].str.startswith("wikipedia_5.jsonl").all()
