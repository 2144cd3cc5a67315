"""A file in place of a folder, a folder in place of a file, a link to nothing: one error that says which."""

import pytest
from scripts import run_script

from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.score import mean_score
from fbn_exp.core.errors import DiskError
from fbn_exp.core.files import as_disk_error, new_file, new_folder, no_folder, write_json
from fbn_exp.core.locks import held


def refused(act):
    """What the error says that becomes of an exception."""
    with pytest.raises((OSError, DiskError)) as caught:
        act()
    error = caught.value if isinstance(caught.value, DiskError) else as_disk_error(caught.value)
    assert error is not None, caught.value
    return str(error)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "a.json" / "inside").mkdir(parents=True)
    said = refused(lambda: write_json(tmp_path / "a.json", 1))
    reason = "it is a folder, and a file is needed there: remove or rename it"
    assert said == f"{tmp_path / 'a.json'} cannot be used: {reason}"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("write", [new_folder, new_file, held], ids=["new_folder", "new_file", "held"])
def test_a_file_in_place_of_the_folder_around_is_named(write, tmp_path):
    (tmp_path / "cache").write_text("")

    def act():
        with write(tmp_path / "cache" / "deep" / "entry"):
            pass

    assert f"{tmp_path / 'cache'} is a file: name a folder" in refused(act)


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "cache").write_text("")
    assert "it is a file, and a folder is needed there" in refused(lambda: (tmp_path / "cache").mkdir())


def test_a_link_to_nothing_is_named_with_where_it_leads(tmp_path):
    (tmp_path / "cache").symlink_to(tmp_path / "nowhere")
    for act in (
        lambda: (tmp_path / "cache").mkdir(),
        lambda: (tmp_path / "cache" / "deep").mkdir(parents=True),
    ):
        said = refused(act)
        assert str(tmp_path / "nowhere") in said
        assert "is a link to" in said


def test_what_can_become_a_folder_has_nothing_in_its_way(tmp_path):
    assert no_folder(tmp_path) is None
    assert no_folder(tmp_path / "not" / "yet") is None
    (tmp_path / "link").symlink_to(tmp_path)
    assert no_folder(tmp_path / "link" / "deep") is None


def test_a_link_to_nothing_is_replaced_by_a_new_folder(tmp_path):
    (tmp_path / "entry").symlink_to(tmp_path / "nowhere")
    with new_folder(tmp_path / "entry") as partial:
        (partial / "a").write_text("b")
    assert (tmp_path / "entry" / "a").read_text() == "b"
    assert not (tmp_path / "entry").is_symlink()
    assert [each.name for each in tmp_path.iterdir()] == ["entry"]


@pytest.mark.parametrize("name", ["entry.lock", "entry.holder"])
def test_a_folder_in_place_of_a_lock_is_named_and_one_for_its_holder_ignored(name, tmp_path):
    (tmp_path / name).mkdir()

    def act():
        with held(tmp_path / "entry"):
            (tmp_path / "ran").touch()

    if name == "entry.holder":
        act()
        assert (tmp_path / "ran").exists()
    else:
        assert f"{tmp_path / name} cannot be used: it is a folder" in refused(act)


def test_scores_are_used_where_a_folder_has_the_name_of_their_file(tmp_path, caplog):
    import numpy as np

    score = mean_score("task", "metric", np.ones(3), higher_is_better=True)
    cache = ScoreCache(tmp_path)
    cache.scores({"a": 1}, lambda: [score])
    (file,) = tmp_path.glob("*.json")
    file.unlink()
    file.mkdir()
    assert cache.scores({"a": 1}, lambda: [score]) == [score]
    assert "scores are used, but not kept" in caplog.text
    assert "it is a folder, and a file is needed there" in caplog.text


def test_the_script_refuses_a_cache_that_is_a_file_before_anything_is_loaded(tmp_path):
    (tmp_path / "cache").write_text("")
    done = run_script("extract.py", "model=tiny", "tracking=none", f"cache={tmp_path / 'cache' / 'deep'}")
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        f"error: cache={tmp_path / 'cache' / 'deep'}: {tmp_path / 'cache'} is a file: name a folder"
    )
    assert "loading" not in done.stderr


def test_the_script_refuses_a_run_folder_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("")
    done = run_script("extract.py", "model=tiny", "tracking=none", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"error: {tmp_path / 'run'} cannot be used" in done.stderr
