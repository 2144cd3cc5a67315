"""The measurements start, and write their rows, on a tiny model."""

import json
import runpy
import sys
from importlib.util import find_spec

import pytest
from scripts import REPOSITORY

PERF = REPOSITORY / "perf"
# scripts whose smallest size takes minutes
LONG = ("compare_checkouts", "decomposition", "larger_than_memory", "optima", "platforms", "solver")


@pytest.fixture
def run(monkeypatch, tmp_path, tiny_model):
    if find_spec("evals") is None:
        pytest.skip("needs the embedded corpora")
    monkeypatch.syspath_prepend(str(PERF))
    monkeypatch.chdir(tmp_path)
    measure = __import__("measure")
    monkeypatch.setattr(measure, "ROWS", tmp_path / "rows")
    monkeypatch.setattr(measure, "smollm2", lambda *dtype: tiny_model)

    def script(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        runpy.run_path(str(PERF / f"{name}.py"), run_name="__main__")
        file = tmp_path / "rows" / f"{name}.json"
        return json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else None

    return script


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "rows"),
    [
        ("interventions", ["1"], 2),
        ("recording", ["1"], 8),
        ("packed", ["1", "8"], 9),
        ("draws", ["1", "2"], 3),
        ("sweep", ["4", "model=tiny"], 1),
        ("probe_sweep", ["2", "model=tiny"], 2),
    ],
)
def test_a_measurement_runs(run, name, arguments, rows):
    assert len(run(name, *arguments)) == rows


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_a_long_measurement_starts(run, name, capsys):
    if name == "decomposition":
        pytest.importorskip("icalens", reason="make perf installs the peers")
    with pytest.raises(SystemExit) as ended:
        run(name, "--help")
    assert ended.value.code == 0
    assert f"usage: {name}.py" in capsys.readouterr().out
