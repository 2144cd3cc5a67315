"""Jobs that are killed, that want the same thing at once, or that find no room, through the real scripts."""

import os
import resource
import signal
import subprocess
import sys

import psutil
import pytest
from scripts import REPOSITORY, TINY, result_of
from test_launched_jobs import living, wait_until

from fbn_exp.networks.artifact import FunctionalNetworks

# each scoring takes a while, so that there is something to interrupt
LONG = (*TINY, "benchmark.dataset.n_texts=60", "benchmark.batch_tokens=64", "controls.repeats=3")
SWEEP = ("evaluate.py", "-m", *LONG, "intervention=scale", "launch=accelerate", "launch.num_processes=1")


def started(*arguments, limit=None):
    """A script in a process of its own, which lets no file grow beyond ``limit`` bytes."""
    preexec = None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.Popen(
        [sys.executable, *arguments, "tracking=none"],
        cwd=REPOSITORY,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=preexec,
    )


def scored(cache):
    return {each.name for each in cache.glob("scores/*.json")}


@pytest.mark.slow
def test_a_rerun_after_a_kill_takes_what_was_scored_and_completes(tmp_path):
    cache = tmp_path / "cache"
    overrides = (*SWEEP, "intervention.factor=0,3", f"cache={cache}", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    sweep = started(*overrides)
    wait_until(lambda: (tmp_path / "sweep" / "0" / "logs" / "returned.json").is_file())
    known = scored(cache)
    assert known
    wait_until(lambda: len(scored(cache)) >= len(known) + 2)
    for process in living(tmp_path / "sweep" / "1"):
        os.kill(process, signal.SIGKILL)
    said, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 1, said
    assert "job 1 failed: a process of the job died" in said
    before, first = scored(cache), result_of(tmp_path / "sweep" / "0")["metrics"]
    assert not (tmp_path / "sweep" / "1" / "tables" / "scores.csv").exists()

    again = started(*overrides, "launch.jobs_at_once=2")
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert not (tmp_path / "sweep" / "1" / "failed.txt").exists()
    assert result_of(tmp_path / "sweep" / "0")["metrics"] == first
    log = (tmp_path / "sweep" / "1" / "logs" / "rank0.log").read_text()
    # the untouched model, and what the killed job had scored
    reused = len(before) - len(known) + 1
    assert f"{len(scored(cache)) - len(before)} scorings in" in log
    assert f"{reused} from the cache" in log
    assert "networks from the cache" in log


@pytest.mark.slow
def test_jobs_that_want_the_same_networks_at_once_extract_them_once(tmp_path):
    overrides = ("evaluate.py", *TINY, "benchmark.dataset.n_texts=4", "controls.repeats=1")
    runs = [tmp_path / "one", tmp_path / "two"]
    scripts = [started(*overrides, f"cache={tmp_path / 'cache'}", f"hydra.run.dir={run}") for run in runs]
    said = [script.communicate(timeout=200)[0] for script in scripts]
    assert [script.returncode for script in scripts] == [0, 0], said
    logs = [(run / "evaluate.log").read_text() for run in runs]
    assert sorted("networks from the cache" in log for log in logs) == [False, True]
    assert result_of(runs[0])["metrics"] == result_of(runs[1])["metrics"]
    (entry,) = (each for each in (tmp_path / "cache" / "networks").iterdir() if each.is_dir())
    assert FunctionalNetworks.load(entry).maps.shape == (4, 256)
    assert not list((tmp_path / "cache").rglob(".*"))


@pytest.mark.slow
def test_ranks_that_find_no_room_for_their_rows_say_so_and_leave_none(tmp_path):
    two = ("launch=accelerate", "launch.num_processes=2", f"cache={tmp_path / 'cache'}")
    # a rank's rows are 147,456 bytes
    script = started(
        "extract.py", *TINY, "signals.batch_tokens=48", *two, f"hydra.run.dir={tmp_path}", limit=99_999
    )
    said, _ = script.communicate(timeout=200)
    assert script.returncode == 1
    assert "ranks record into files: 288.00 KiB needed on the disk of" in said
    assert "error: ranks record into files of 144.00 KiB, and" in said
    assert "refuses it (File too large): write the run to another disk" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("ranks-*"))
    assert not list(tmp_path.glob("networks*"))
    assert not living(tmp_path)


@pytest.mark.slow
def test_a_killed_rank_leaves_no_file_of_its_rows(tmp_path):
    many = ("extract.py", *TINY, "dataset.n_texts=200", "signals.batch_tokens=48")
    two = ("launch=accelerate", "launch.num_processes=2", f"cache={tmp_path / 'cache'}")
    script = started(*many, *two, f"hydra.run.dir={tmp_path / 'run'}")
    wait_until(lambda: len(list(tmp_path.glob("run/ranks-*/rank*.f32"))) == 2)
    for process in living(tmp_path / "run"):
        if psutil.Process(process).environ().get("RANK") == "0":
            os.kill(process, signal.SIGKILL)
    said, _ = script.communicate(timeout=120)
    assert script.returncode == 1
    assert "a process of the job died" in said or "rank 0 of 2 died" in said
    assert not list((tmp_path / "run").glob("ranks-*"))
    assert not living(tmp_path)
