"""Steps run at the same time; one that needs another's result waits for it, and is left out if it failed."""

from textwrap import dedent

import pytest
from step import MODELS, Step
from together import Together

MODEL = MODELS["smollm2"]
# the first of two waits for the second: that ends only if both run at the same time
SCRIPT = dedent("""
    import pathlib, sys, time
    options = dict(each.split("=", 1) for each in sys.argv[1:])
    place = pathlib.Path(options["hydra.run.dir"])
    if "for" in options:
        deadline = time.monotonic() + 60
        while not (place.parent / options["for"] / "log").exists():
            if time.monotonic() > deadline:
                sys.exit("waited in vain")
            time.sleep(0.02)
    if "from" in options and not (pathlib.Path(options["from"]) / "result").exists():
        sys.exit("there is no result")
    (place / "log").write_text("")
    if "fails" in options:
        sys.exit("it failed")
    (place / "result").write_text("")
""")


def step(name, *overrides, leaves=""):
    return Step(name, name, "script.py", overrides, sweep=False, leaves=leaves)


@pytest.fixture
def together(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    return lambda at_once=2: Together(tmp_path, "runs", at_once=at_once)


def test_two_steps_run_at_the_same_time(together):
    steps = [step("first", "for=second"), step("second")]
    assert together().run([MODEL], steps) == []


def test_a_step_waits_for_what_it_needs_and_is_done_once(together, capsys):
    steps = [step("needs", "from={folder}/gives"), step("gives", leaves="result")]
    assert steps[0].needs == {"gives"}
    assert together().run([MODEL], steps) == []
    assert together(1).run([MODEL], steps) == []
    assert capsys.readouterr().out.count("done before") == 2


def test_what_needs_a_step_that_failed_is_left_out_and_the_others_run(together, capsys):
    steps = [step("gives", "fails=1", leaves="result"), step("needs", "from={folder}/gives"), step("other")]
    assert together().run([MODEL], steps) == ["smollm2/gives", "smollm2/needs"]
    told = capsys.readouterr().out
    assert "it failed" in told
    assert "smollm2/needs: left out, for gives failed" in told
    assert "smollm2/other: done in" in told


def test_a_step_that_ctrl_c_ends_has_not_failed(together, capsys):
    run = together()
    run.stopped = True
    assert run.run([MODEL], [step("one", "fails=1")]) == ["smollm2/one"]
    told = capsys.readouterr().out
    assert "smollm2/one: interrupted" in told
    assert "it failed" not in told


def test_cores_are_shared_among_the_steps(together, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "script.py").write_text("import os; print('threads', os.environ['OMP_NUM_THREADS'])")
    assert together().run([MODEL], [step("one")]) == []
    assert (tmp_path / "runs" / "smollm2" / "one" / "console.txt").read_text() == "threads 4\n"


def test_a_step_is_run_again_if_what_it_needs_has_changed(together, capsys):
    needs, other = step("needs", "from={folder}/gives"), step("other")
    assert together().run([MODEL], [step("gives", leaves="result"), needs, other]) == []
    capsys.readouterr()
    assert together().run([MODEL], [step("gives", "more=1", leaves="result"), needs, other]) == []
    told = capsys.readouterr().out
    assert "smollm2/needs: done in" in told
    assert "smollm2/other: done before" in told


def test_what_a_step_left_is_made_again_only_for_a_step_that_needs_it(together, tmp_path, capsys):
    gives, needs = step("gives", leaves="result"), step("needs", "from={folder}/gives")
    assert together().run([MODEL], [gives, needs]) == []
    lost = tmp_path / "runs" / "smollm2" / "gives" / "result"
    lost.unlink()
    capsys.readouterr()
    assert together().run([MODEL], [gives, needs]) == []
    assert capsys.readouterr().out.count("done before") == 2
    assert together().run([MODEL], [gives, step("needs", "from={folder}/gives", "more=1")]) == []
    assert lost.exists()
