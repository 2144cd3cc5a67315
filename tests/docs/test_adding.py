"""What docs/adding/ tells a user to write and to run, written and run outside of the repository."""

import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from in_process import composed
from pages import DOCS, commands_on, files_on
from scripts import REPOSITORY, finished, result_of
from zoo import OPT

from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.reliability.split_half import subspace_cosines
from fbn_exp.stages.build import built
from fbn_exp.thresholds.base import Threshold

QUICK = (
    "tracking=none",
    "figures.max_networks=0",
    "figures.dpi=30",
    "dataset.n_texts=6",
    "method.n_components=3",
)
SCORED = ("controls.repeats=1", "benchmark.dataset.n_texts=5", "benchmark.dataset.tokens_per_text=48")


def follow(page: str, folder: Path, weights: str | None = None) -> list[Path]:
    """Write the files of a page, run its commands on a tiny model, and return the folder of each run.

    ``weights`` stand in for those of the hub, which tests do not reach.
    """
    for name, content in files_on(DOCS / "adding" / page).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    path = os.pathsep.join([str(folder / "mine"), os.environ.get("PYTHONPATH", "")])
    # what the page says, and where this package is found if it is not installed
    assert page == "model.md" or "export PYTHONPATH=$PWD/mine\n" in (DOCS / "adding" / page).read_text()
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    runs = []
    for script, *words in commands_on(DOCS / "adding" / page):
        if "benchmark=lm_eval" in words:  # a task that the user has
            continue
        runs.append(folder / f"run{len(runs)}")
        model = [] if any(word.startswith("model=") for word in words) else ["model=tiny"]
        if weights is not None and "model=opt-125m" in words:
            model = [f"model.name={weights}"]
        scored = SCORED if script == "evaluate.py" else ()
        place = [f"hydra.run.dir={runs[-1]}", f"hydra.sweep.dir={runs[-1]}", f"cache={folder / 'cache'}"]
        command = [sys.executable, str(REPOSITORY / script), *words, *model, *QUICK, *scored, *place]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return runs


def test_a_method_of_ones_own_finds_networks_in_the_subspace_of_principal_components(tmp_path):
    single, reliable, sweep = follow("method.md", tmp_path)
    assert result_of(single)["metrics"]["method/converged"] == 1
    assert result_of(reliable)["metrics"]["reliability/runs"] == 4
    described = pd.read_csv(sweep / "sweep" / "jobs.csv")
    assert described["error"].isna().tolist() == [True, True]
    pca, varimax = (FunctionalNetworks.load(entry) for entry in _cached(tmp_path / "cache", "PCA", "Varimax"))
    assert subspace_cosines(pca.maps, varimax.maps).min() > 0.999
    assert _concentration(varimax.maps) > _concentration(pca.maps)


def _cached(cache: Path, *methods: str) -> list[Path]:
    """Cache entry of the networks of each method, with the default signals and one fit."""
    found = {}
    for entry in (cache / "networks").iterdir():
        if entry.is_dir():
            config = FunctionalNetworks.load(entry).provenance["config"]
            if (
                config["signals"]["standardise"] == "zscore"
                and "NoReliability" in config["reliability"]["_target_"]
            ):
                found[config["method"]["_target_"].rsplit(".", 1)[-1]] = entry
    return [found[method] for method in methods]


def _concentration(maps: torch.Tensor) -> float:
    """Variance of squared weights, summed over maps: what varimax maximises."""
    return float(maps.double().square().var(dim=1).sum())


def test_an_intervention_of_ones_own_goes_from_nothing_to_the_mean(tmp_path):
    single, sweep = follow("intervention.md", tmp_path)
    task = "perplexity_wiki/nats_per_token"
    half = result_of(single)["metrics"]
    none, again, full = (result_of(sweep / str(job))["metrics"] for job in range(3))
    assert none[f"delta/{task}"] == 0
    assert again[task] == half[task]
    assert half[f"delta/{task}"] != 0
    assert f"control/activation/{task}" in half
    run = tmp_path / "mean"
    places = (f"cache={tmp_path / 'cache'}", f"hydra.run.dir={run}")
    finished("evaluate.py", "model=tiny", *QUICK, *SCORED, "intervention=mean", *places)
    assert full[task] == result_of(run)["metrics"][task]


def test_a_benchmark_of_ones_own_scores_what_it_says(tmp_path, tiny_model):
    single, other_corpus, selected = (result_of(run)["metrics"] for run in follow("benchmark.md", tmp_path))
    texts = EmbeddedDataset("wiki", n_texts=5, tokens_per_text=48, split="test").sample(tiny_model.tokenizer)
    right = total = 0
    for ids in texts.ids:
        with torch.no_grad():
            logits = tiny_model.model(torch.tensor([ids])).logits[0]
        right += sum(int(logits[place].argmax() == ids[place + 1]) for place in range(len(ids) - 1))
        total += len(ids) - 1
    task = "first_guess_wiki/acc"
    assert single[f"baseline/{task}"] == pytest.approx(right / total)
    assert single[f"{task}/n"] == 5
    assert f"control/per_block/{task}" in single
    assert "first_guess_news/acc" in other_corpus
    assert selected[f"selected_factor/{task}"] in (0.5, 1.1)


def test_a_model_of_ones_own_is_found_and_one_of_an_unknown_architecture_is_read_where_its_yaml_says(
    tmp_path,
):
    checkpoint = tmp_path / "checkpoint"
    random_model("opt", OPT).save_pretrained(checkpoint)
    byte_tokenizer().save_pretrained(checkpoint)
    opt, tiny, mamba = follow("model.md", tmp_path, str(checkpoint))
    assert (
        FunctionalNetworks.load(opt / "networks").layout.n_neurons
        == OPT["num_hidden_layers"] * OPT["hidden_size"]
    )
    assert result_of(tiny)["metrics"]["neurons"] > 0
    paths = [block.path for block in FunctionalNetworks.load(mamba / "networks").layout.blocks]
    assert paths == ["backbone.layers.0.mixer", "backbone.layers.1.mixer"]


@pytest.mark.parametrize("page", sorted((DOCS / "adding").glob("*.md")), ids=lambda page: page.stem)
def test_every_name_with_its_module_can_be_imported(page):
    for name in set(re.findall(r"`(fbn_exp(?:\.\w+)+)", page.read_text(encoding="utf-8"))):
        pkgutil.resolve_name(name)
    for module, names in re.findall(
        r"`from (fbn_exp[\w.]+) import ([\w, ]+)`", page.read_text(encoding="utf-8")
    ):
        for name in names.split(", "):
            pkgutil.resolve_name(f"{module}.{name}")


def test_the_threshold_of_the_page_composes_and_takes_the_fewest_neurons_of_its_share(tmp_path, monkeypatch):
    for name, content in files_on(DOCS / "adding" / "threshold.md").items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "mine")
    (_, *words) = commands_on(DOCS / "adding" / "threshold.md")[0]
    place = words.index("--config-dir")
    assert words[place + 1] == "mine/conf"
    settings = words[:place] + words[place + 2 :]
    cfg = composed(*settings, f"hydra.searchpath=[file://{tmp_path / 'mine' / 'conf'}]")
    threshold = built(cfg.threshold, Threshold)
    # energies 16, 9, 9, 1 of 35 on the positive pole: the first holds 30% and more by itself
    maps = torch.tensor([[3.0, -5, 4, 1, 3], [0, 0, 0, 0, 0]])
    assert threshold.masks(maps).tolist() == [[False, False, True, False, False], [False] * 5]
    assert replace(threshold, pole="both").masks(maps)[0].tolist() == [False, True, False, False, False]
    assert threshold.describe() == "30% of the energy, positive pole"
    with pytest.raises(ConfigError, match=r"threshold\.share is 1\.5, must lie between 0 and 1"):
        replace(threshold, share=1.5)
