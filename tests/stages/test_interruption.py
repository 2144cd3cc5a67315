"""An interruption from the keyboard ends in one line that says how to go on, and exit status 130."""

import pytest

from fbn_exp.stages.cli import reported
from fbn_exp.stages.scripts import interruption


@pytest.fixture(autouse=True)
def places(monkeypatch):
    monkeypatch.setattr(interruption, "_places", {})


def ended(capsys) -> str:
    """What a script says whose main function is interrupted."""

    @reported
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_before_anything_has_started(capsys):
    assert ended(capsys) == "interrupted: nothing had been started"


def test_a_run_names_its_folder_and_networks(capsys, tmp_path):
    (tmp_path / "networks").mkdir()
    interruption.remember("run", tmp_path)
    line = ended(capsys)
    assert f"{tmp_path.name}, its networks too, is kept" in line
    assert "the same command" in line


def test_a_training_names_the_run_to_resume(capsys, tmp_path):
    (tmp_path / "checkpoints" / "checkpoint-10").mkdir(parents=True)
    interruption.remember("run", tmp_path)
    assert "trainer.resume=" in ended(capsys)


def test_a_sweep_counts_its_finished_jobs(capsys, tmp_path):
    for name, text in {"0": '{"finished": true}', "1": '{"finished": false}', "2": "{"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    interruption.remember("run", tmp_path / "1")
    interruption.remember("sweep", tmp_path)
    line = ended(capsys)
    assert "1 finished job is kept" in line
    assert "hydra.sweep.dir=" in line


def test_a_sweep_without_a_finished_job_says_so(capsys, tmp_path):
    interruption.remember("sweep", tmp_path)
    assert ended(capsys).startswith("interrupted: no finished jobs are kept")
