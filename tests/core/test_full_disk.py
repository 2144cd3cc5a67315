"""A disk that is full is one clear error, whichever library meets it, and leaves nothing half written."""

import errno
import json
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from full_disk import files_below
from in_process import marked_texts, run_stage
from matplotlib.figure import Figure
from safetensors.torch import save_file
from scripts import TINY

from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.score import mean_score
from fbn_exp.core.errors import DiskError, TrainingError
from fbn_exp.core.files import as_disk_error, in_words, new_file, new_folder, save_figure, write_json
from fbn_exp.core.layout import Block, NeuronLayout, Site
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.z import ZThreshold
from fbn_exp.training.checkpoints import last_checkpoint

NUMBERS = torch.arange(10_000.0)


def picture(file):
    figure = Figure()
    figure.subplots().imshow(np.random.default_rng(0).random((99, 99)))
    save_figure(figure, file, 100)


def whole(write):
    """A writer of files, under a temporary name."""

    def written(path):
        with new_file(path) as partial:
            write(partial)

    return written


WRITERS = {
    "json": lambda path: write_json(path, NUMBERS.tolist()),
    "picture": lambda path: picture(path.with_suffix(".png")),
    "safetensors": whole(lambda path: save_file({"numbers": NUMBERS}, path)),
    "torch": whole(lambda path: torch.save({"numbers": NUMBERS}, path)),
    "parquet": whole(lambda path: pd.DataFrame({"numbers": NUMBERS}).to_parquet(path)),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_every_library_s_word_for_a_full_disk_becomes_one_error(write, tmp_path):
    with (
        pytest.raises(DiskError, match=r"result.* cannot be written.*free.*cache=FOLDER"),
        files_below(5_000),
    ):
        write(tmp_path / "result.pt")
    assert not list(tmp_path.iterdir())
    write(tmp_path / "result.pt")
    assert len(list(tmp_path.iterdir())) == 1


def test_the_error_says_how_much_is_needed_and_what_was_there_stays(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with (
        pytest.raises(DiskError, match=r"a\.json cannot be written: it needs 97\.\d\d KiB, its disk has"),
        files_below(5_000),
    ):
        write_json(tmp_path / "a.json", "x" * 100_000)
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}


def test_other_errors_keep_their_names(tmp_path):
    assert as_disk_error(OSError(errno.EACCES, "no")) is None
    assert as_disk_error(ValueError("No space left on device")) is None
    assert as_disk_error(DiskError("a disk is full (os error 28)")) is None
    assert isinstance(as_disk_error(OSError(errno.EDQUOT, "no", "/a/b")), DiskError)
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "nowhere" / "a") as partial:
        partial.write_text("a")
    with pytest.raises(PermissionError), new_folder(tmp_path / "a"):
        raise PermissionError


def test_sizes_are_said_in_a_unit_that_fits():
    sizes = {999: "999 bytes", 1536: "1.50 KiB", 3 * 2**20: "3.00 MiB", 2**31: "2.00 GiB"}
    assert {size: in_words(size) for size in sizes} == sizes


def networks(value):
    layout = NeuronLayout(Site.mlp_output, (Block("layers.0", 0, 3_000),))
    return FunctionalNetworks(torch.full((4, 3_000), value), layout)


def test_networks_that_find_no_room_leave_the_old_ones_whole(tmp_path):
    networks(1.0).save(tmp_path / "networks", ZThreshold())
    with (
        pytest.raises(DiskError, match=r"networks cannot be written: it needs 46\.88 KiB"),
        files_below(5_000),
    ):
        networks(2.0).save(tmp_path / "networks", ZThreshold())
    assert [each.name for each in tmp_path.iterdir()] == ["networks"]
    assert torch.equal(FunctionalNetworks.load(tmp_path / "networks").maps, networks(1.0).maps)


def test_a_table_that_finds_no_room_leaves_the_old_one_whole(tmp_path):
    folder = RunFolder(tmp_path, "extract")
    folder.add_table("numbers", pd.DataFrame({"numbers": [1, 2]}))
    with pytest.raises(DiskError, match=r"numbers\.csv cannot be written"), files_below(5_000):
        folder.add_table("numbers", pd.DataFrame({"numbers": NUMBERS}))
    assert pd.read_csv(tmp_path / "tables" / "numbers.csv")["numbers"].tolist() == [1, 2]
    assert len(list((tmp_path / "tables").iterdir())) == 1


def test_scores_that_the_cache_has_no_room_for_are_not_lost(tmp_path, caplog):
    scores = [mean_score("text", "nats", np.arange(1_000.0), higher_is_better=False)]
    cache = ScoreCache(tmp_path)
    with caplog.at_level(logging.ERROR), files_below(5_000):
        assert cache.scores({}, lambda: scores) is scores
    assert "scores are used, but not kept for later runs" in caplog.text
    assert "cache=FOLDER" in caplog.text
    assert [each.suffix for each in tmp_path.iterdir()] == [".lock"]
    cache.scores({}, lambda: scores)
    assert (cache.hits, cache.misses) == (0, 2)
    cache.scores({}, lambda: pytest.fail("it is there now"))


def test_networks_survive_when_the_report_finds_no_room_and_a_rerun_completes(tmp_path):
    run, cache = tmp_path / "run", f"cache={tmp_path / 'cache'}"
    with pytest.raises(DiskError, match=r"report\.html cannot be written: it needs"), files_below(15_000):
        run_stage("extract", run, *TINY, cache)
    (entry,) = (each for each in (tmp_path / "cache" / "networks").iterdir() if each.is_dir())
    kept, cached = FunctionalNetworks.load(run / "networks"), FunctionalNetworks.load(entry)
    assert torch.equal(kept.maps, cached.maps)
    assert json.loads((run / "result.json").read_text())["metrics"]["explained_variance"] > 0
    assert not list(run.glob("*report*"))
    again = run_stage("extract", run, *TINY, cache)
    assert (run / "report.html").is_file()
    assert again["networks"] == 4
    assert torch.equal(FunctionalNetworks.load(run / "networks").maps, kept.maps)


def test_networks_reach_the_cache_when_the_run_folder_cannot_be_written(tmp_path):
    (tmp_path / "run" / "result.json").mkdir(parents=True)
    with pytest.raises(DiskError, match=r"result\.json cannot be used: it is a folder"):
        run_stage("extract", tmp_path / "run", *TINY, f"cache={tmp_path / 'cache'}")
    (entry,) = (each for each in (tmp_path / "cache" / "networks").iterdir() if each.is_dir())
    assert FunctionalNetworks.load(entry).maps.shape == (4, 256)


def test_an_evaluation_goes_on_when_the_cache_has_no_room_for_its_networks(tmp_path, caplog):
    scored = (*TINY, "benchmark.dataset.n_texts=2", "controls.repeats=1", f"cache={tmp_path / 'cache'}")
    # one kind: the numbers and the picture of all kinds are larger than the networks
    scored += ("controls.kinds=[random]",)
    with caplog.at_level(logging.ERROR), files_below(11_500):
        first = run_stage("evaluate", tmp_path / "run", *scored)
    assert "networks are used, but not kept for later runs" in caplog.text
    assert not [each for each in (tmp_path / "cache" / "networks").iterdir() if each.is_dir()]
    assert run_stage("evaluate", tmp_path / "run", *scored) == first


def test_a_checkpoint_that_finds_no_room_is_not_gone_on_from(tmp_path):
    training = (*marked_texts(tmp_path / "marked.jsonl"), "model=tiny", f"cache={tmp_path / 'cache'}")
    training += ("task.dev_texts=8", "task.test_texts=8", "trainer.max_steps=2")
    run = tmp_path / "run"
    with pytest.raises(DiskError, match="checkpoints cannot be written"), files_below(1_000_000):
        run_stage("train", run, *training, "trainer.evaluation_interval=1")
    assert list(run.glob("checkpoints/checkpoint-*/trained.safetensors"))
    with pytest.raises(TrainingError, match="no complete checkpoint"):
        last_checkpoint(run)
    assert run_stage("train", run, *training, "trainer.evaluation_interval=1")["steps"] == 2
