"""Steps are run once, go on where they were interrupted, and say how long is left."""

import json
import os
import signal
import subprocess
import sys
import time
from textwrap import dedent

import pytest
from progress import Seconds
from runner import done_before, run_step
from scripts import REPOSITORY
from step import MODELS, Step

MODEL = MODELS["smollm2"]
# a script that does three jobs, one after the other, and keeps what is done as the cache of scores does
SCRIPT = dedent("""
    import pathlib, sys, time
    place = pathlib.Path(sys.argv[-1].partition("=")[2])
    for job in range(3):
        file = place / str(job)
        if not file.exists():
            time.sleep(float(sys.argv[2].partition("=")[2]))
            file.write_text("computed")
            with open("log", "a") as log:
                print(job, file=log)
    sys.exit(int(sys.argv[3].partition("=")[2]))
""")


def step(seconds=0.0, status=0):
    return Step("one", "One", "script.py", (f"seconds={seconds}", f"status={status}"), sweep=False)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def run(root, one):
    return run_step(root, MODEL, one, "runs", False, ())


def done(root, one):
    return done_before(root / "runs" / "smollm2" / "one", one.command("smollm2", "runs/smollm2", False))


def test_what_ran_to_its_end_is_done_for_this_command_alone(root):
    assert not done(root, step())
    assert run(root, step()) > 0
    assert done(root, step())
    assert not done(root, step(seconds=0.01))


def test_a_step_that_failed_is_not_done_and_keeps_what_it_has(root):
    failing = step(status=1)
    assert run(root, failing) is None
    assert not done(root, failing)
    assert run(root, failing) is None
    assert (root / "log").read_text().split() == ["0", "1", "2"]


def test_seconds_of_interrupted_runs_count(root):
    mark = root / "runs" / "smollm2" / "one" / "begun.json"
    assert run(root, step(status=1)) is None
    begun = json.loads(mark.read_text())
    assert begun["seconds"] > 0
    mark.write_text(
        json.dumps(begun | {"seconds": 1000.0, "command": step().command("smollm2", "runs/smollm2", False)})
    )
    assert run(root, step()) > 1000


def test_another_command_starts_with_an_empty_folder(root):
    run(root, step())
    run(root, step(seconds=0.01))
    assert (root / "log").read_text().split() == ["0", "1", "2"] * 2


def test_other_code_starts_with_an_empty_folder(root, monkeypatch):
    failing = step(status=1)
    assert run(root, failing) is None
    monkeypatch.setattr("runner.commit", lambda _: "0123456789")
    assert run(root, failing) is None
    assert (root / "log").read_text().split() == ["0", "1", "2"] * 2


def test_a_killed_step_goes_on_with_what_is_missing(root):
    slow = step(seconds=0.4)
    code = (
        "import pathlib, runner; from runner import run_step; from step import MODELS, Step; "
        "runner.NOTED_EVERY = 0.02; "
        f"run_step(pathlib.Path({str(root)!r}), MODELS['smollm2'], {slow!r}, 'runs', False, ())"
    )
    places = os.pathsep.join(str(REPOSITORY / name) for name in ("replication", "src"))
    killed = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": places}, start_new_session=True
    )
    first = root / "runs" / "smollm2" / "one" / "0"
    deadline = time.monotonic() + 60
    mark = first.parent / "begun.json"
    while not first.exists() or "seconds" not in mark.read_text():
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not done(root, slow)
    assert json.loads(mark.read_text())["seconds"] > 0
    before = (root / "log").read_text().split() if (root / "log").exists() else []
    assert run(root, slow) > 0
    after = (root / "log").read_text().split()
    # the job that was cut off is done once more at most, the finished ones are not
    assert after[: len(before)] == before
    assert set(before) & set(after[len(before) :]) == set()
    assert done(root, slow)


def test_a_damaged_mark_is_no_mark(root):
    run(root, step())
    (root / "runs" / "smollm2" / "one" / "done.json").write_text('{"comm')
    assert not done(root, step())


def test_the_time_that_is_left_is_that_of_earlier_runs_at_the_pace_of_this_one(tmp_path):
    seconds = Seconds(tmp_path / "runs" / "seconds.json", {"a": 100.0, "b": 300.0})
    assert seconds.estimate(["a", "b"]) == (400.0, 0)
    assert seconds.in_words(["a", "b"]) == "about 7 min"
    assert seconds.in_words(["a", "new"]) == "about 100 s and a step not run before"
    assert seconds.in_words(["new", "newer"]) == "2 steps not run before"
    seconds.add("a", 200.0)
    assert seconds.estimate(["b"]) == (600.0, 0)
    # what a step that runs took so far is not left
    assert seconds.estimate(["b", "new"], {"b": 150.0, "new": 20.0}) == (450.0, 1)
    assert seconds.estimate(["b"], {"b": 900.0}) == (0.0, 0)
    # later runs know what this one took, and all know the steps that are kept
    known = Seconds.beside(tmp_path / "runs").known
    assert known["a"] == 200.0
    kept = json.loads((REPOSITORY / "replication/records/smollm2/networks/done.json").read_text())
    assert known["full/smollm2/networks"] == kept["seconds"]
