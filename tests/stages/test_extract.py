import json
import math

import pandas as pd
import pytest
import torch
from in_process import composed

from fbn_exp.core.errors import ConfigError, DatasetError, MethodError, ModelError
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import block_shares
from fbn_exp.stages.extract import run
from fbn_exp.thresholds.z import ZThreshold

SAYING = "the rain in Spain stays mainly on a plain where seven old foxes jump over lazy dogs"
WORDS = SAYING.split()


@pytest.fixture(scope="module")
def text_files(tmp_path_factory):
    """A jsonl file of eight short texts, and a txt file."""
    folder = tmp_path_factory.mktemp("texts")
    sentences = [" ".join(WORDS[start:] + WORDS[:start]) for start in range(0, 16, 2)]
    lines = [json.dumps({"body": sentence, "id": number}) for number, sentence in enumerate(sentences)]
    (folder / "a.jsonl").write_text("\n".join(lines))
    (folder / "b.txt").write_text(
        "Line one.\r\nLine two; 2 + 2 = 4, \"quoted\", 'also', [brackets] and ünïcode."
    )
    return f"dataset.paths=[{folder / 'a.jsonl'},{folder / 'b.txt'}]"


@pytest.fixture(scope="module")
def tiny(text_files):
    """Config of a small run into a folder; more overrides come last."""

    def configure(folder, *overrides: str):
        texts = ("dataset=files", text_files, "dataset.field=body", "dataset.tokens_per_text=40")
        few = ("method.n_components=4", "figures.max_networks=1", "figures.dpi=20")
        cfg = composed("model=tiny", "tracking=none", *texts, *few, *overrides)
        cfg.run.folder = str(folder)
        return cfg

    return configure


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """Folder of a run with the defaults, and what ``run`` returned."""
    folder = tmp_path_factory.mktemp("run") / "new" / "run"
    return folder, run(tiny(folder))


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def test_the_result_names_the_stage_and_what_lies_in_the_folder(finished):
    folder, _ = finished
    result = result_of(folder)
    assert result.keys() == {"stage", "finished", "configuration", "metrics", "remarks", "artifacts"}
    assert result["stage"] == "extract"
    assert {"networks", "tables/networks", "tables/strongest_tokens", "figures/overview"} <= set(
        result["artifacts"]
    )
    for place in result["artifacts"].values():
        assert not place.startswith(("/", ".."))
        assert (folder / place).exists()
    assert not [file for file in folder.rglob("*") if file.name.startswith(".")]


def test_metrics_are_finite_flat_numbers_under_stable_names(finished):
    metrics = result_of(finished[0])["metrics"]
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())
    expected = {
        "explained_variance",
        "networks",
        "networks/union_size",
        "networks/empty",
        "networks/largest_iou",
        "memory/peak_gib",
        "recording/tokens_per_second",
        "method/seconds",
        "method/converged",
        "method/n_iterations",
        "method/gradient",
        "network/0/size",
        "network/3/explained_variance",
    }
    signals = ("tokens", "neurons", "texts", "row_norm_median", "row_norm_largest")
    expected |= {f"signals/{name}" for name in (*signals, "outlier_tokens", "outlier_share")}
    assert expected <= metrics.keys()


def test_metrics_agree_with_networks_and_tables(finished):
    folder, returned = finished
    metrics = result_of(folder)["metrics"]
    networks = FunctionalNetworks.load(folder / "networks")
    masks = networks.masks(ZThreshold(1.96))
    table = pd.read_csv(folder / "tables" / "networks.csv")
    assert networks.maps.shape == (4, 4 * 64)
    assert returned == metrics["explained_variance"]
    assert returned == pytest.approx(sum(networks.statistics["explained_variance_ratio"]))
    assert metrics["signals/tokens"] == 9 * 39
    assert metrics["signals/texts"] == 9
    assert metrics["networks/union_size"] == int(masks.any(dim=0).sum()) > 0
    assert table["size"].tolist() == masks.sum(dim=1).tolist()
    assert [metrics[f"network/{index}/size"] for index in range(4)] == table["size"].tolist()
    shares = torch.tensor(table.filter(like="share_in_block_").to_numpy())
    torch.testing.assert_close(shares, block_shares(masks, networks.layout))
    assert table["share_in_main_block"].tolist() == pytest.approx(shares.max(dim=1).values.tolist())


def test_provenance_says_where_the_networks_come_from(finished):
    provenance = FunctionalNetworks.load(finished[0] / "networks").provenance
    assert provenance["model"] == "random:llama"
    assert provenance["dtype"] == "float32"
    assert provenance["config"]["method"]["n_components"] == 4
    assert provenance["config"]["site"] == "mlp_output"
    assert "b.txt" in provenance["texts"] or "1 more" in provenance["texts"]
    assert len(provenance["weight_digest"]) == len(provenance["texts_digest"]) == 64


def test_the_strongest_tokens_are_looked_up_in_the_texts(finished):
    tokens = pd.read_csv(finished[0] / "tables" / "strongest_tokens.csv", keep_default_na=False)
    assert len(tokens) == 4 * 10
    whole = " ".join(WORDS * 2)
    for row in tokens[tokens["origin"].str.contains("jsonl")].itertuples():
        assert f"{row.before}{row.token}{row.after}" in whole


def test_the_same_config_gives_bit_identical_maps_and_the_last_lines_say_where(
    finished, tiny, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run(tiny(tmp_path / "[bold]" / "run"))
    first = FunctionalNetworks.load(finished[0] / "networks")
    again = FunctionalNetworks.load(tmp_path / "[bold]" / "run" / "networks")
    assert torch.equal(again.maps, first.maps)
    assert again.provenance == first.provenance
    shown = capsys.readouterr().err
    assert "Found 4 networks in 4 × 64 neurons, mlp_output" in shown
    assert "Networks: [bold]/run/networks" in shown
    assert "Pictures: [bold]/run/figures/overview.png" in shown


def test_signals_on_disk_give_the_same_networks_and_leave_no_file(finished, tiny, tmp_path):
    run(tiny(tmp_path, "signals.memory_budget_gb=1e-9"))
    found = FunctionalNetworks.load(tmp_path / "networks")
    assert torch.equal(found.maps, FunctionalNetworks.load(finished[0] / "networks").maps)
    assert not list(tmp_path.rglob("*.f32"))


def test_a_whole_other_run_site_signals_method_and_threshold(tiny, tmp_path):
    choices = ("site=mlp_hidden", "signals=stable", "method=pca", "threshold=fdr")
    run(tiny(tmp_path, *choices, "figures.strongest_tokens=0", "figures.max_networks=0"))
    networks = FunctionalNetworks.load(tmp_path / "networks")
    assert networks.maps.shape == (4, 4 * 96)
    assert result_of(tmp_path)["metrics"]["signals/tokens"] == 9 * 39
    assert networks.provenance["config"]["signals"]["standardise"] == "zscore"


@pytest.mark.parametrize("method", ["spatial_ica", "canica", "dictionary"])
def test_every_method_gets_standardised_signals_and_texts(tiny, tmp_path, method):
    lean = ("figures.strongest_tokens=0", "figures.max_networks=0")
    run(tiny(tmp_path, "signals=stable", f"method={method}", *lean))
    networks = FunctionalNetworks.load(tmp_path / "networks")
    assert networks.maps.shape == (4, 4 * 64)
    metrics = result_of(tmp_path)["metrics"]
    assert metrics["signals/tokens"] == 9 * 39
    # neurons were z-scored: their variances add up to their number, and networks' energy is a share of it
    energy = networks.maps.double().square().sum(dim=1) / (4 * 64)
    assert energy.tolist() == pytest.approx(networks.statistics["explained_variance_ratio"], rel=1e-4)
    assert 0 < metrics["explained_variance"] < 1


def test_each_block_by_itself_gives_networks_inside_blocks(tiny, tmp_path):
    lean = ("figures.strongest_tokens=0", "figures.max_networks=0")
    returned = run(tiny(tmp_path, "method.per_block=true", "method.max_starts=1", *lean))
    networks = FunctionalNetworks.load(tmp_path / "networks")
    assert networks.maps.shape == (4 * 4, 4 * 64)
    assert sorted(networks.blocks) == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    shares = block_shares(networks.maps != 0, networks.layout)
    assert shares.argmax(dim=1).tolist() == list(networks.blocks)
    assert (shares.max(dim=1).values == 1).all()
    ratio = networks.statistics["explained_variance_ratio"]
    assert ratio == sorted(ratio, reverse=True)
    assert returned == pytest.approx(sum(ratio))
    assert networks.provenance["config"]["method"]["per_block"] is True
    assert networks.provenance["metrics"]["blocks_decomposed"] == 4
    table = pd.read_csv(tmp_path / "tables" / "networks.csv")
    assert table["size"].tolist() == networks.masks(ZThreshold(1.96)).sum(dim=1).tolist()


def test_networks_numbers_and_tables_survive_when_the_pictures_cannot_be_drawn(tiny, tmp_path):
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(FileExistsError):
        run(tiny(tmp_path))
    assert len(FunctionalNetworks.load(tmp_path / "networks")) == 4
    result = result_of(tmp_path)
    assert result["metrics"]["explained_variance"] > 0
    assert result["metrics"]["signals/tokens"] == 9 * 39
    assert result["artifacts"].keys() == {
        "networks",
        *(f"tables/{name}" for name in ("networks", "strongest_tokens", "drivers", "strongest_texts")),
    }
    assert result["metrics"]["networks"] == 4


@pytest.mark.parametrize(
    ("wrong", "error", "field"),
    [
        ("method.n_components=0", ConfigError, "method.n_components"),
        ("method.max_starts=0", ConfigError, "method.max_starts"),
        ("dataset.tokens_per_text=1", ConfigError, "dataset.tokens_per_text"),
        ("dataset.paths=[nowhere.txt]", DatasetError, "dataset.paths"),
        ("signals.memory_budget_gb=0", ConfigError, "signals.memory_budget_gb"),
        ("signals.batch_tokens=0", ConfigError, "signals.batch_tokens"),
        ("threshold.value=-1", ConfigError, "threshold.value"),
        ("figures.dpi=0", ConfigError, "figures.dpi"),
    ],
)
def test_a_wrong_setting_is_refused_before_a_model_is_looked_for(tiny, tmp_path, wrong, error, field):
    folder = tmp_path / "run"
    with pytest.raises(error, match=field.replace(".", r"\.")):
        run(tiny(folder, "model.name=/no/such/model", wrong))
    assert not folder.exists()


def test_a_model_that_is_not_there_is_an_error_once_the_settings_are_right(tiny, tmp_path):
    with pytest.raises(ModelError, match="/no/such/model"):
        run(tiny(tmp_path, "model.name=/no/such/model"))


def test_more_components_than_the_signals_hold_are_refused(tiny, tmp_path):
    with pytest.raises(MethodError, match=r"method\.n_components is 300, .* 256 neurons"):
        run(tiny(tmp_path, "method.n_components=300", "signals.memory_budget_gb=1e-9"))
    assert not (tmp_path / "networks").exists()
    assert not list(tmp_path.rglob("*.f32"))


def test_a_damaged_entry_of_the_cache_is_written_again_and_a_whole_one_left(tiny, tmp_path, caplog):
    cache = f"cache={tmp_path / 'cache'}"
    run(tiny(tmp_path / "run", cache))
    (file,) = (tmp_path / "cache" / "networks").glob("*/networks.safetensors")
    before, content = file.stat(), file.read_bytes()
    run(tiny(tmp_path / "run", cache))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "broken" not in caplog.text
    file.write_bytes(content[:-1])
    run(tiny(tmp_path / "run", cache))
    assert file.read_bytes() == content
    assert "cached networks are broken, writing them again" in caplog.text
