"""What reliability=icasso leaves in a run folder and in the cache."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from in_process import composed

from fbn_exp.core.errors import ConfigError
from fbn_exp.models.load import load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.cache import cache_entry
from fbn_exp.stages.build import extraction_parts
from fbn_exp.stages.extract import run

ICASSO = ("reliability=icasso", "reliability.runs=4", "reliability.rotations=99", "method.max_iterations=20")


@pytest.fixture(scope="module")
def tiny():
    """Config of a small run; more overrides come last."""

    def configure(folder, *overrides: str):
        few = ("dataset.n_texts=6", "dataset.tokens_per_text=40", "method.n_components=3")
        cfg = composed(
            "model=tiny", "tracking=none", "figures.max_networks=0", "figures.dpi=20", *few, *overrides
        )
        cfg.run.folder, cfg.cache = str(folder / "run"), str(folder / "cache")
        return cfg

    return configure


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """Config of a run with reliability that is done."""
    cfg = tiny(tmp_path_factory.mktemp("icasso"), *ICASSO, "reliability.orders=[2,4]")
    run(cfg)
    return cfg


def metrics_of(cfg):
    return json.loads((Path(cfg.run.folder) / "result.json").read_text())["metrics"]


def test_every_network_has_its_reliability_in_numbers(finished):
    folder = Path(finished.run.folder)
    metrics = metrics_of(finished)
    assert all(math.isfinite(value) for value in metrics.values())
    names = ("iq", "iq_starts", "iq_texts", "reproducibility", "p_phase", "p_split_half", "split_half")
    table = pd.read_csv(folder / "tables" / "reliability.csv")
    summaries = json.loads((folder / "networks" / "networks.json").read_text())["networks"]
    for index in range(3):
        for name in (*names, "split_half_overlap", "mask_agreement", "sign_agreement", "estimates"):
            value = metrics[f"network/{index}/{name}"]
            assert summaries[index][name] == table[name][index] == pytest.approx(value)
        assert metrics[f"network/{index}/p_phase"] in [pytest.approx(rank / 20) for rank in range(1, 21)]
    assert metrics["reliability/iq_median"] == pytest.approx(table["iq"].median())
    assert metrics["reliability/runs"] == 4
    assert 0 <= metrics["reliability/subspace_cosine_smallest"] <= metrics["reliability/subspace_cosine_mean"]
    assert (
        metrics["reliability/order/2/explained_variance"] < metrics["reliability/order/4/explained_variance"]
    )
    assert 0 < metrics["explained_variance"] < 1


def test_pictures_are_drawn_and_named(finished):
    folder = Path(finished.run.folder)
    artifacts = json.loads((folder / "result.json").read_text())["artifacts"]
    for name in ("reliability", "reliability_clusters", "model_order"):
        assert (folder / artifacts[f"figures/{name}"]).stat().st_size > 1000
    assert len(pd.read_csv(folder / artifacts["tables/model_order"])) == 2


def test_the_cache_tells_networks_with_reliability_from_others(finished, tiny, tmp_path):
    parts = extraction_parts(finished)
    lm = load(parts.model, parts.cache)
    (kept,) = (path for path in (parts.cache / "networks").iterdir() if path.is_dir())
    saved = FunctionalNetworks.load(Path(finished.run.folder) / "networks")
    assert (parts.networks(None, lm, tmp_path, same_weights=True).maps == saved.maps).all()
    assert saved.provenance["config"]["reliability"]["runs"] == 4
    entries = set()
    for change in (
        ICASSO,
        (*ICASSO, "reliability.runs=6"),
        (*ICASSO, "threshold.value=3"),  # agreement of masks is of this threshold
        ("reliability=none", "method.max_iterations=20"),
    ):
        other = extraction_parts(tiny(tmp_path, *change))
        extractor = other.extractor()
        entries.add(cache_entry(extractor, lm, extractor.texts(lm), parts.cache))
    assert len(entries) == 4
    assert kept not in entries  # its model-order curve


def test_without_reliability_the_threshold_makes_no_other_networks(tiny, tmp_path):
    first, second = (extraction_parts(tiny(tmp_path, f"threshold.value={value}")) for value in (2, 3))
    assert first.config == second.config


def test_the_console_says_how_reliable_networks_are(tiny, tmp_path, capsys):
    run(tiny(tmp_path, *ICASSO, "method.max_iterations=1", "reliability.surrogate=none"))
    shown = " ".join(capsys.readouterr().err.split())
    assert "Iq" in shown
    assert "Reliability over 4 runs, clusters of sources: Iq 0." in shown
    assert "4 of 4 runs did not converge" in shown
    assert "surrogates" not in shown


def test_settings_out_of_range_are_refused_before_a_model_is_looked_for(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"reliability\.runs is 1"):
        run(tiny(tmp_path, "model.name=/no/such/model", "reliability=icasso", "reliability.runs=1"))
