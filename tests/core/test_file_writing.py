import json
import multiprocessing
import os
import time

import pytest
import torch
from safetensors.torch import save_file

from fbn_exp.core import files
from fbn_exp.core.files import new_folder, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fill_and_fail(target, error):
    with new_folder(target) as partial:
        (partial / "new.txt").write_text("new")
        raise error


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "deeper" / "result"
    with new_folder(target) as partial:
        (partial / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "a.txt").read_text() == "a"
    assert names(target.parent) == ["result"]


def test_a_folder_that_failed_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill_and_fail(tmp_path / "result", KeyboardInterrupt())
    assert names(tmp_path) == []


def test_an_old_folder_survives_a_failure(tmp_path):
    target = tmp_path / "result"
    target.mkdir()
    (target / "old.txt").write_text("old")
    with pytest.raises(ValueError, match="half way"):
        fill_and_fail(target, ValueError("half way"))
    assert names(tmp_path) == ["result"]
    assert names(target) == ["old.txt"]


def write_half(target, ready):
    with new_folder(target) as partial:
        (partial / "half.txt").write_text("half")
        ready.set()
        time.sleep(300)


def test_what_a_killed_writer_leaves_has_not_the_name_and_is_in_nobody_s_way(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, target = context.Event(), tmp_path / "result"
    process = context.Process(target=write_half, args=(target, ready))
    process.start()
    assert ready.wait(60)
    process.kill()
    process.join()
    assert not target.exists()
    with new_folder(target) as partial:
        (partial / "whole.txt").write_text("whole")
    assert names(target) == ["whole.txt"]


def test_an_old_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "result"
    target.mkdir()
    (target / "old.txt").write_text("old")
    with new_folder(target) as partial:
        (partial / "new.txt").write_text("new")
    assert names(tmp_path) == ["result"]
    assert names(target) == ["new.txt"]


def test_others_may_read_a_new_folder(tmp_path):
    with new_folder(tmp_path / "result"):
        pass
    assert (tmp_path / "result").stat().st_mode & 0o777 == 0o755


def test_json_is_read_back_equal(tmp_path):
    content = {"name": "σ × 1", "values": [1, 2.5, None], "nested": {"flag": True}}
    write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == content
    assert names(tmp_path) == ["a.json"]


def test_an_old_json_file_survives_what_json_cannot_hold(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_json_that_cannot_be_encoded_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_json(tmp_path / "a.json", {"lone surrogate": "\ud800"})
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("umask", "folder_mode", "file_mode"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600)]
)
def test_a_folder_and_what_any_library_writes_in_it_have_the_permissions_of_new_files(
    umask, folder_mode, file_mode, tmp_path
):
    before = os.umask(umask)
    try:
        with new_folder(tmp_path / "made") as partial:
            (partial / "inner").mkdir()
            save_file({"a": torch.zeros(3)}, partial / "inner" / "a.safetensors")
            (partial / "b.json").write_text("{}")
    finally:
        os.umask(before)
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in (tmp_path / "made", *(tmp_path / "made").rglob("*"))
    }
    assert modes == {
        "made": folder_mode,
        "inner": folder_mode,
        "a.safetensors": file_mode,
        "b.json": file_mode,
    }


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize("before", ["folder", "file", "link"])
def test_what_had_the_name_is_replaced_whatever_it_was_and_whatever_the_system_can(
    able, before, tmp_path, monkeypatch
):
    target = tmp_path / "place" / "target"
    (tmp_path / "place").mkdir()
    if before == "folder":
        target.mkdir()
        (target / "old").write_text("old")
    elif before == "file":
        target.write_text("old")
    else:
        target.symlink_to(tmp_path / "nowhere")
    if not able:
        monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    with new_folder(target) as partial:
        (partial / "new").write_text("new")
    assert names(target) == ["new"]
    assert names(target.parent) == ["target"]


def test_there_is_no_moment_at_which_neither_the_old_nor_the_new_folder_has_the_name(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    if not files._exchanged(target, target):
        pytest.skip("this file system exchanges no names")
    # the other way has two renames: a kill between them would leave neither
    monkeypatch.setattr("pathlib.Path.rename", lambda *_: pytest.fail("renamed"))
    with new_folder(target) as partial:
        (partial / "new").write_text("new")
    assert names(target) == ["new"]
