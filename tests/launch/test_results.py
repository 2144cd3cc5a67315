"""Which rank failed and how is said alike, whoever of its job saw that first."""

import json
import os
import signal
from types import SimpleNamespace

import psutil
import pytest
from omegaconf import OmegaConf
from test_launched_jobs import living, pid_in, started, wait_until

from fbn_exp.core.errors import AbsentRankError, ConfigError
from fbn_exp.launch.agent import causes
from fbn_exp.launch.jobs import Job
from fbn_exp.launch.results import outcome, write_error

KILLED, ASKED = -signal.SIGKILL, -signal.SIGTERM


@pytest.fixture
def job(tmp_path):
    (tmp_path / "logs").mkdir()
    return Job(tmp_path, tmp_path / "script.py", OmegaConf.create())


def said_by(job, processes=2, exit_code=1):
    return str(outcome(job, exit_code, processes).error)


def died(job, **exit_codes):
    job.deaths.write_text(json.dumps({name.removeprefix("rank"): code for name, code in exit_codes.items()}))


def waited(job, rank=0):
    write_error(job.logs, rank, AbsentRankError(f"rank 1 of 2 died (rank {rank} waited for rows)"))


def test_a_killed_rank_is_named_with_its_signal_whoever_saw_it_first(job):
    (job.logs / "rank1.log").write_text("a line\nrecorded 40 of 100 texts\n\n")
    died(job, rank1=KILLED)
    by_the_launcher = said_by(job)
    assert by_the_launcher.startswith(
        "rank 1 of 2 died, killed by SIGKILL, and said last: recorded 40 of 100 texts; logs: "
    )
    waited(job)
    died(job, rank0=1, rank1=KILLED)
    assert said_by(job) == by_the_launcher


def test_a_rank_that_ends_without_a_word_is_named_with_its_exit_status(job):
    died(job, rank0=1, rank1=3)
    waited(job)
    assert said_by(job).startswith("rank 1 of 2 died, exit status 3; logs: ")


def test_what_a_rank_says_before_it_has_a_log_is_in_that_of_the_launcher(job):
    words = (
        "ModuleNotFoundError: No module named 'mine'\nE1125 10:00:00.123 77 api.py:869] failed (exitcode: 1)"
    )
    job.launcher_log.write_text(words)
    died(job, rank1=1)
    assert "rank 1 of 2 died, exit status 1, and said last: ModuleNotFoundError: No" in said_by(job)


def test_an_error_of_a_ranks_own_comes_before_those_of_ranks_that_waited_for_it(job):
    waited(job)
    write_error(job.logs, 1, ConfigError("number is 1"))
    died(job, rank0=1, rank1=1)
    assert said_by(job) == "number is 1"


def test_an_error_that_a_death_may_have_caused_is_told_with_it(job):
    write_error(job.logs, 0, RuntimeError("Connection closed by peer"))
    died(job, rank1=KILLED, rank0=1)
    assert said_by(job).startswith(
        "rank 0 of 2: RuntimeError: Connection closed by peer; rank 1 of 2 died, killed by SIGKILL; logs: "
    )


def test_a_rank_on_a_machine_that_left_no_word_is_told_by_the_one_that_waited(job):
    waited(job)
    died(job, rank0=1)
    assert said_by(job) == "rank 1 of 2 died (rank 0 waited for rows)"


def test_a_job_of_one_process_and_a_launcher_can_be_killed_too(job):
    assert said_by(job, 1, KILLED).startswith("a process of the job died, killed by SIGKILL; logs: ")
    died(job, rank0=-signal.SIGSEGV)
    assert said_by(job, 1).startswith("a process of the job died, killed by SIGSEGV; logs: ")


def failures(*seen):
    """As torch's launcher has them: rank, exit code and second of each, in the order in which it saw them."""
    return {rank: SimpleNamespace(exitcode=code, timestamp=second) for rank, code, second in seen}


@pytest.mark.parametrize(
    ("seen", "named"),
    [
        ([(1, KILLED, 5), (0, 128 + signal.SIGTERM, 5)], {1: KILLED}),
        ([(0, 1, 5), (1, KILLED, 5)], {0: 1, 1: KILLED}),
        # a rank that hung did not hear that it was asked to end
        ([(0, 1, 5), (1, KILLED, 35)], {0: 1}),
        # somebody else asked
        ([(1, ASKED, 5), (0, 128 + signal.SIGTERM, 5)], {1: ASKED}),
    ],
)
def test_a_rank_that_torchs_launcher_ended_is_no_cause(seen, named):
    assert causes(failures(*seen)) == named


@pytest.mark.slow
@pytest.mark.parametrize("first", ["the other rank", "torch's launcher"])
def test_a_killed_rank_is_named_by_a_real_job(first, tmp_path):
    script = started("launch.num_processes=2", "seconds=300", f"hydra.run.dir={tmp_path}")
    ranks = [pid_in(tmp_path / "process0"), pid_in(tmp_path / "process1")]
    logs = tmp_path / "logs"
    late = psutil.Process(ranks[1]).ppid() if first == "the other rank" else ranks[0]
    os.kill(late, signal.SIGSTOP)
    os.kill(ranks[1], signal.SIGKILL)
    if first == "the other rank":
        wait_until(lambda: (logs / "error-rank0.json").is_file())
    else:
        wait_until(lambda: "closing signal" in (logs / "launcher.log").read_text())
    os.kill(late, signal.SIGCONT)
    said, _ = script.communicate(timeout=120)
    assert script.returncode == 1
    assert "error: rank 1 of 2 died, killed by SIGKILL" in said
    assert not living(tmp_path)
