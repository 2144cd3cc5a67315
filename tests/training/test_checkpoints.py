"""A checkpoint that was changed after it was written is not gone on from."""

import json
import shutil

import pytest
from in_process import marked_texts, run_stage

from fbn_exp.core.errors import TrainingError
from fbn_exp.training.checkpoints import last_checkpoint, require_unchanged, seal

FILES = ("trained.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Settings of a run, and the run with its checkpoints."""
    folder = tmp_path_factory.mktemp("trained")
    few = ("task.dev_texts=8", "task.test_texts=8", "trainer.max_steps=2", "trainer.evaluation_interval=1")
    setting = (*marked_texts(folder / "marked.jsonl"), "model=tiny", f"cache={folder / 'cache'}", *few)
    run_stage("train", folder / "run", *setting)
    return setting, folder / "run"


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained[1] / "checkpoints", tmp_path / "checkpoints")
    return tmp_path / "checkpoints" / "checkpoint-2"


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_noticed_and_its_file_named(name, copied):
    assert last_checkpoint(copied.parent) == copied
    flip(copied / name)
    try:
        json.loads((copied / "trainer_state.json").read_text())
    except ValueError:  # not complete
        assert last_checkpoint(copied.parent) != copied
    with pytest.raises(TrainingError, match=rf"checkpoint-2 cannot be resumed, {name} is damaged"):
        require_unchanged(copied)


def test_nothing_is_trained_from_a_changed_checkpoint(trained, copied, tmp_path):
    flip(copied / "optimizer.pt")
    with pytest.raises(TrainingError, match=r"optimizer\.pt is damaged"):
        run_stage("train", tmp_path / "again", *trained[0], f"trainer.resume={copied}")


def test_digests_that_are_damaged_are_named_and_missing_ones_are_logged(copied, caplog):
    (copied / "digests-rank0.json").write_bytes(b"[")
    with pytest.raises(TrainingError, match=r"digests-rank0\.json is damaged"):
        last_checkpoint(copied)
    (copied / "digests-rank0.json").unlink()
    assert last_checkpoint(copied) == copied
    assert "checkpoint-2 has no digests" in caplog.text


def test_each_rank_answers_for_what_it_has_written(tmp_path):
    for name in ("trained.safetensors", "rng_state_0.pth", "rng_state_1.pth"):
        (tmp_path / name).write_text(name)
    for rank in (1, 0):
        seal(tmp_path, rank)
    digests = [json.loads((tmp_path / f"digests-rank{rank}.json").read_text()) for rank in (0, 1)]
    assert [sorted(each) for each in digests] == [
        ["rng_state_0.pth", "trained.safetensors"],
        ["rng_state_1.pth"],
    ]
    require_unchanged(tmp_path)
    (tmp_path / "rng_state_1.pth").write_text("")
    with pytest.raises(TrainingError, match=r"rng_state_1\.pth is damaged"):
        require_unchanged(tmp_path)
