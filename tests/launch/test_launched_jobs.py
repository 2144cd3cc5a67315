"""What becomes of a job's processes, through a small entry script: none may be lost, none left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
from accelerate.commands.config.config_args import ClusterConfig
from hydra import compose, initialize_config_dir
from scripts import REPOSITORY
from stand_in_slurm import install

from fbn_exp.config.register import register

HERE = Path(__file__).parent


def started(*overrides: str, **variables: str) -> subprocess.Popen[str]:
    """The small script, started as a user would, in a process group of its own, with variables set."""
    command = [sys.executable, str(HERE / "small_job.py"), "--config-dir", str(HERE)]
    found = f"hydra.searchpath=[file://{REPOSITORY / 'conf'}]"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.Popen(
        [*command, *overrides, found],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # a shell starts what goes on in the background with SIGINT ignored, and a process hands that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def pid_in(file: Path, seconds: float = 120) -> int:
    """Number that a rank writes into a file, as soon as it is there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if file.is_file() and (text := file.read_text()):
            return int(text)
        time.sleep(0.05)
    raise TimeoutError(f"{file} was not written")


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def living(folder: Path) -> list[int]:
    """Processes of jobs below a folder."""
    found = []
    for each in psutil.process_iter():
        try:
            job = each.environ().get("FBN_EXP_JOB", "")
            if job.startswith(str(folder)) and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each.pid)
        except psutil.Error:
            continue
    return found


def test_a_killed_and_a_failing_job_leave_the_others_alone(tmp_path):
    overrides = ("number=0,1,2", "seconds=5", "launch.num_processes=2", "launch.jobs_at_once=2")
    sweep = started("-m", *overrides, f"hydra.sweep.dir={tmp_path}")
    # the second rank waits for a while, which the first job does not survive
    os.kill(pid_in(tmp_path / "0" / "process1"), signal.SIGKILL)
    said, _ = sweep.communicate(timeout=200)
    assert sweep.returncode == 1
    assert "job 1 failed: number is 1, which this test does not like" in said
    assert "job 0 failed" in said
    assert "rank 1 of 2 died" in (tmp_path / "0" / "failed.txt").read_text()
    assert json.loads((tmp_path / "2" / "logs" / "returned.json").read_text()) == 2
    assert not (tmp_path / "2" / "failed.txt").exists()
    assert {each.name for each in (tmp_path / "2" / "logs").glob("rank*.log")} == {"rank0.log", "rank1.log"}
    assert not living(tmp_path)


SIGNALS = [
    pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    signal.SIGTERM,
    pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("sent", SIGNALS)
def test_no_process_survives_the_one_that_started_it(sent, tmp_path):
    script = started("launch.num_processes=2", "seconds=300", f"hydra.run.dir={tmp_path}")
    ranks = {pid_in(tmp_path / "process0"), pid_in(tmp_path / "process1")}
    assert ranks <= set(living(tmp_path))
    script.send_signal(sent)
    script.communicate(timeout=60)
    assert script.returncode != 0
    until = time.monotonic() + (0 if sent is not signal.SIGKILL else 60)
    while living(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert not living(tmp_path)


@pytest.mark.slow
def test_a_rank_that_hangs_is_named_within_the_timeout(tmp_path):
    overrides = ("launch.num_processes=2", "launch.timeout_minutes=0.1", "seconds=1000")
    script = started(*overrides, f"hydra.run.dir={tmp_path}")
    os.kill(pid_in(tmp_path / "process1"), signal.SIGSTOP)
    said, _ = script.communicate(timeout=120)
    assert script.returncode == 1
    assert (
        "rank 1 of 2 did not answer within launch.timeout_minutes=0.1 (rank 0 waited for the test's ranks)"
        in said
    )
    assert not living(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_no_process_survives_a_sweep_of_four_at_once(sent, tmp_path):
    overrides = ("number=2,3,4,5", "seconds=300", "launch.num_processes=1", "launch.jobs_at_once=4")
    script = started("-m", *overrides, f"hydra.sweep.dir={tmp_path}")
    ranks = {pid_in(tmp_path / str(job) / "process0") for job in range(4)}
    assert ranks <= set(living(tmp_path))
    script.send_signal(sent)
    script.communicate(timeout=60)
    assert script.returncode != 0
    assert not living(tmp_path)


def config_file(folder, **changes):
    """What ``accelerate config`` writes for two processes on a machine without a GPU, by its own code."""
    answers = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_CPU",
        "mixed_precision": "no",
    }
    answers |= {"use_cpu": True, "debug": False, "num_processes": 2}
    ClusterConfig(**answers).to_yaml_file(folder / "my.yaml")
    with (folder / "my.yaml").open("a") as opened:
        opened.writelines(f"{name}: {value}\n" for name, value in changes.items())
    return f"launch.config_file={folder / 'my.yaml'}"


def test_a_file_of_accelerate_config_says_how_many_processes_there_are(tmp_path):
    script = started(config_file(tmp_path), f"hydra.run.dir={tmp_path / 'run'}")
    said, _ = script.communicate(timeout=200)
    assert script.returncode == 0, said
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == {"metrics": {"ranks": 2}}


def test_a_file_of_another_accelerate_is_refused_with_what_it_does_not_know(tmp_path):
    script = started(config_file(tmp_path, ipex_config="{}"), f"hydra.run.dir={tmp_path / 'run'}")
    said, _ = script.communicate(timeout=200)
    assert script.returncode == 1
    assert "my.yaml has ipex_config, which this accelerate does not know: leave that out" in said
    assert "Traceback" not in said


def test_a_sweep_that_cannot_be_summarised_keeps_its_jobs_and_says_so(tmp_path):
    (tmp_path / "sweep").write_text("in the way of the summary's folder")
    script = started("-m", "launch=local", "number=0,1", f"hydra.sweep.dir={tmp_path}")
    said, _ = script.communicate(timeout=60)
    assert script.returncode == 1
    assert "job 1 failed: number is 1" in said
    assert "error: 1 job failed, the others are kept" in said
    assert "the jobs are kept, but the sweep is not summarised: FileExistsError" in said
    assert json.loads((tmp_path / "0" / "result.json").read_text()) == {"metrics": {"ranks": 1}}


@pytest.mark.slow
def test_a_job_of_submitit_starts_its_ranks_where_it_runs(tmp_path):
    pytest.importorskip("submitit", reason="pip install 'fbn_exp[slurm]'")
    script = started("launch=submitit_local", "launch.num_processes=2", f"hydra.sweep.dir={tmp_path}")
    said, _ = script.communicate(timeout=200)
    assert script.returncode == 0, said
    assert json.loads((tmp_path / "0" / "result.json").read_text()) == {"metrics": {"ranks": 2}}
    assert (tmp_path / "0" / "process1").is_file()
    assert not living(tmp_path)


@pytest.mark.slow
def test_a_job_of_submitit_that_is_killed_is_a_failed_one(tmp_path):
    pytest.importorskip("submitit", reason="pip install 'fbn_exp[slurm]'")
    # the first kills itself, with the process that submitit waits for
    sweep = started("-m", "launch=submitit_local", "number=9,1,2", f"hydra.sweep.dir={tmp_path}")
    said, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 1
    assert "Traceback" not in said
    assert "job 0 failed: submitit's job" in said
    assert "job 1 failed: number is 1, which this test does not like" in said
    assert "error: 2 jobs failed, the others are kept" in said
    assert "ended without a result" in (tmp_path / "0" / "failed.txt").read_text()
    table = pd.read_csv(tmp_path / "sweep" / "jobs.csv")
    assert table["ranks"].notna().tolist() == [False, False, True]
    assert table["error"].notna().tolist() == [True, True, False]


def test_gpus_of_a_job_are_asked_of_submitit_on_this_machine_too():
    pytest.importorskip("submitit", reason="pip install 'fbn_exp[slurm]'")
    register()
    asked = ["launch=submitit_local", "launch.gpus_per_node=2"]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        launcher = compose("extract", overrides=asked, return_hydra_config=True).hydra.launcher
    # else it hides all from the job
    assert launcher.gpus_per_node == 2


@pytest.mark.slow
def test_a_sweep_goes_to_slurm_with_what_was_asked_for(tmp_path):
    pytest.importorskip("submitit", reason="pip install 'fbn_exp[slurm]'")
    commands = install(tmp_path / "bin")
    asked = ("launch.partition=gpu", "launch.gpus_per_node=2", "launch.mem_gb=8", "launch.account=brain")
    asked += ("launch.limit_minutes=90", "launch.jobs_at_once=1")
    sweep = tmp_path / "sweep"
    script = started(
        "-m",
        "launch=slurm",
        "number=0,1",
        *asked,
        f"hydra.sweep.dir={sweep}",
        PATH=f"{commands}{os.pathsep}{os.environ['PATH']}",
    )
    said, _ = script.communicate(timeout=200)
    assert script.returncode == 1
    assert "job 1 failed: number is 1" in said
    submitted = (commands / "submitted.sh").read_text()
    for option in ("partition=gpu", "gpus-per-node=2", "mem=8GB", "account=brain", "time=90", "array=0-1%1"):
        assert f"#SBATCH --{option}\n" in submitted
    assert "ntasks-per-node=1" in submitted
    assert json.loads((sweep / "0" / "result.json").read_text()) == {"metrics": {"ranks": 1}}
    assert (sweep / "sweep" / "jobs.csv").is_file()
    assert not living(tmp_path)


def test_slurm_where_there_is_none_is_an_error_in_words(tmp_path):
    pytest.importorskip("submitit", reason="pip install 'fbn_exp[slurm]'")
    script = started("launch=slurm", f"hydra.sweep.dir={tmp_path}", PATH=str(tmp_path))
    said, _ = script.communicate(timeout=60)
    assert script.returncode == 1
    assert "launch=slurm needs a SLURM cluster" in said
    assert "launch=submitit_local" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_sweep_runs_through_ray_where_that_is_installed(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="pip install hydra-ray-launcher")
    script = started("-m", "launch=ray", "number=0,1,2", f"hydra.sweep.dir={tmp_path}")
    said, _ = script.communicate(timeout=200)
    assert script.returncode == 1
    assert "job 1 failed: number is 1" in said
    for job in ("0", "2"):
        assert json.loads((tmp_path / job / "result.json").read_text()) == {"metrics": {"ranks": 1}}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["launch.num_processes=0"], "launch.num_processes is 0, must be positive"),
        (["launch.config_file=/nowhere.yaml"], "launch.config_file: there is no file /nowhere.yaml"),
        (["launch.config_file=pyproject.toml"], "launch.config_file pyproject.toml cannot be read"),
        (["launch.num_machines=2"], "set launch.main_process_ip and launch.main_process_port"),
        (
            ["launch=submitit_local", "launch.nodes=2"],
            "launch.num_processes is 1, and the job has 2 machines",
        ),
        (["launch=ray"], "launch=ray needs Ray: pip install hydra-ray-launcher"),
    ],
)
def test_a_wrong_launch_setting_is_named_before_anything_starts(overrides, said, tmp_path):
    script = started(*overrides, f"hydra.run.dir={tmp_path}")
    printed, _ = script.communicate(timeout=60)
    assert script.returncode == 1
    assert said in printed
    assert "Traceback" not in printed
