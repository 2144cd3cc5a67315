"""A job's folder, which several machines share, and jobs whose processes cannot be started."""

import logging
import subprocess
import sys
from dataclasses import dataclass

import pytest
from full_disk import files_below
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from fbn_exp.core.errors import ConfigError, DiskError, LaunchError
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.launch.config import AccelerateConfig
from fbn_exp.launch.jobs import Job, clear, write_job
from fbn_exp.launch.processes import run_jobs
from fbn_exp.launch.rank import _configure_logging
from fbn_exp.launch.results import outcome
from fbn_exp.stages.sweep_callback import SweepSummary


@dataclass
class SettingConfig:
    needed: int


def config_of(**settings):
    return OmegaConf.create({"launch": OmegaConf.merge(OmegaConf.structured(AccelerateConfig), settings)})


def on_machine(rank, **settings):
    """Settings of one of two machines."""
    return config_of(
        num_machines=2,
        machine_rank=rank,
        num_processes=4,
        main_process_ip="node1",
        main_process_port=29500,
        **settings,
    )


def left_by(folder, *names):
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / "logs" / name).write_text("left")


LOGS = {
    0: {"launcher.log", "rank0.log", "rank1.log", "error-rank1.json", "returned.json"},
    1: {"launcher1.log", "rank2.log", "rank3.log", "error-rank3.json"},
}
# of a time when there were more ranks and machines
FORMER = {"rank4.log", "rank11.log", "error-rank7.json", "launcher2.log"}


@pytest.mark.parametrize("machine", [0, 1])
def test_a_machine_clears_away_what_it_writes_itself(machine, tmp_path):
    left_by(tmp_path, *LOGS[0], *LOGS[1], *FORMER)
    (tmp_path / "ranks-abc").mkdir()
    clear(Job(tmp_path, tmp_path, config_of(), machine), processes=4, machines=2)
    kept = {each.name for each in (tmp_path / "logs").iterdir()}
    assert kept == (LOGS[1] if machine == 0 else LOGS[0] | FORMER)
    assert (tmp_path / "ranks-abc").exists() == (machine == 1)


def test_a_job_alone_clears_all_away(tmp_path):
    left_by(tmp_path, *LOGS[0], *LOGS[1], *FORMER)
    clear(Job(tmp_path, tmp_path, config_of()), processes=1, machines=1)
    assert not list((tmp_path / "logs").iterdir())


def test_a_job_that_is_written_leaves_the_logs_of_a_machine_that_began_before(tmp_path):
    left_by(tmp_path, *LOGS[1])
    job = write_job(on_machine, on_machine(0), tmp_path, None)
    assert {each.name for each in job.logs.iterdir()} == {*LOGS[1], "job.json"}


def test_the_first_machine_alone_judges_whether_there_is_a_result(tmp_path):
    second = write_job(on_machine, on_machine(1), tmp_path, None)
    assert second.launcher_log.name == "launcher1.log"
    assert outcome(second, 0, processes=4).error is None
    first = write_job(on_machine, on_machine(0), tmp_path, None)
    assert "ended without a result" in str(outcome(first, 0, processes=4).error)
    # what goes wrong on the second machine is said there
    assert "exit status 1" in str(outcome(second, 1, processes=4).error)


@pytest.mark.parametrize("machine", [0, 1])
def test_the_first_machine_alone_writes_why_a_job_failed(machine, tmp_path, monkeypatch):
    monkeypatch.setattr("fbn_exp.stages.cli._failed_jobs", {})
    hydra = {"mode": RunMode.MULTIRUN, "job": {"num": 0}, "runtime": {"output_dir": str(tmp_path)}}
    hydra["sweeper"] = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}
    config = OmegaConf.merge(on_machine(machine), {"hydra": hydra})
    ended = JobReturn(status=JobStatus.FAILED)
    ended.return_value = LaunchError("a rank died")
    SweepSummary().on_job_end(config, ended)
    assert (tmp_path / "failed.txt").exists() == (machine == 0)
    (tmp_path / "failed.txt").write_text("by the first machine")
    SweepSummary().on_job_start(config)
    assert (tmp_path / "failed.txt").exists() == (machine == 1)


def small_script(folder):
    """A script whose job ends at once, with the result 7."""
    script = folder / "small.py"
    script.write_text(
        "import os, pathlib\n"
        "(pathlib.Path(os.environ['FBN_EXP_JOB']).parent / 'returned.json').write_text('7')\n"
    )
    return script


def ends(jobs):
    ended = {}
    run_jobs(jobs, lambda place, outcome: ended.update({place: outcome}))
    return [ended[place] for place in range(len(jobs))]


def jobs_without(folder, *broken):
    """Three jobs, of which some have lost their folders before they start."""
    config = config_of(num_processes=1, jobs_at_once=2)
    jobs = [Job(folder / str(number), small_script(folder), config) for number in range(3)]
    for number, job in enumerate(jobs):
        if number not in broken:
            job.logs.mkdir(parents=True)
    return jobs


def test_jobs_that_cannot_be_started_are_failed_ones(tmp_path):
    jobs = jobs_without(tmp_path, 0, 1, 2)
    for job, ended in zip(jobs, ends(jobs), strict=True):
        assert isinstance(ended.error, LaunchError)
        assert f"the processes of {job.folder} could not be started: [Errno 2]" in str(ended.error)


@pytest.mark.slow
def test_a_job_that_cannot_be_started_leaves_the_others_alone(tmp_path):
    first, second, third = ends(jobs_without(tmp_path, 1))
    assert (first.value, third.value) == (7, 7)
    assert isinstance(second.error, LaunchError)


def test_a_job_with_wrong_settings_starts_no_process(tmp_path):
    wrong = OmegaConf.merge(OmegaConf.structured(ControlsConfig), {"repeats": 0})
    jobs = [
        Job(tmp_path / name, small_script(tmp_path), OmegaConf.merge(config_of(num_processes=1), more))
        for name, more in (("range", {"controls": wrong}), ("missing", {"task": SettingConfig}))
    ]
    for job, ended, said in zip(
        jobs, ends(jobs), ("controls.repeats is 0", "missing mandatory value: needed"), strict=True
    ):
        assert isinstance(ended.error, ConfigError)
        assert said in str(ended.error)
        assert not job.folder.exists()


def test_a_disk_that_is_full_when_a_job_starts_is_that_jobs_error(tmp_path):
    job = Job(tmp_path, small_script(tmp_path), config_of(num_processes=1))
    job.logs.mkdir()
    with files_below(10):
        (ended,) = ends([job])
    assert isinstance(ended.error, DiskError)
    assert "accelerate.yaml cannot be written" in str(ended.error)
    assert not list(job.logs.iterdir())


DEAF = """
import signal, subprocess, sys, time
from pathlib import Path
from fbn_exp.launch.rank import watch_starter

# as one in a long computation, which does not hear that it shall end
signal.signal(signal.SIGTERM, signal.SIG_IGN)
gone = subprocess.Popen(["true"])
gone.wait()
watch_starter(gone.pid, Path(sys.argv[1]))
time.sleep(100)
"""


def test_a_rank_without_a_starter_leaves_no_file_of_its_rows(tmp_path):
    (tmp_path / "ranks-abc").mkdir()
    (tmp_path / "ranks-abc" / "rank0.f32").write_text("rows")
    (tmp_path / "networks").mkdir()
    done = subprocess.run([sys.executable, "-c", DEAF, str(tmp_path)], timeout=60, check=False)
    assert done.returncode == 1
    assert [each.name for each in tmp_path.iterdir()] == ["networks"]


def test_the_log_of_another_rank_shows_control_characters(monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    _configure_logging({}, rank=1)
    logging.getLogger("any").warning("\x1b[2J")
    assert capsys.readouterr().err.endswith(" \\x1b[2J\n")


def test_why_a_job_failed_is_written_with_control_characters_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("fbn_exp.stages.cli._failed_jobs", {})
    hydra = {"mode": RunMode.MULTIRUN, "job": {"num": 0}, "runtime": {"output_dir": str(tmp_path)}}
    hydra["sweeper"] = {"_target_": "Other"}
    ended = JobReturn(status=JobStatus.FAILED)
    ended.return_value = RuntimeError("\x1b[2J\u202e")
    SweepSummary().on_job_end(OmegaConf.merge(on_machine(0), {"hydra": hydra}), ended)
    assert (tmp_path / "failed.txt").read_text().endswith("RuntimeError: \\x1b[2J\\u202e\n")
