"""A SLURM of one machine and no queue: ``sbatch``, ``srun`` and ``sacct`` that run array jobs at once.

It stands for the scheduler alone: what is submitted, and what runs, is what a cluster would get.
"""

import os
import re
import subprocess
import sys
from pathlib import Path


def install(folder: Path) -> Path:
    """Folder with the three commands, for ``PATH``; ``sbatch`` keeps what it was given there."""
    folder.mkdir()
    for name in ("sbatch", "srun", "sacct"):
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{__file__}" {name} "$@"\n')
        file.chmod(0o755)
    return folder


def sbatch(script: str) -> None:
    text = Path(script).read_text()
    (Path(os.environ["PATH"].split(os.pathsep)[0]) / "submitted.sh").write_text(text)
    array = re.search(r"--array=0-(\d+)", text)
    for task in range(int(array.group(1)) + 1 if array else 1):
        environment = {**os.environ, "SLURM_JOB_ID": "71", "SLURM_JOB_NODELIST": "localhost"}
        environment |= {"SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
        environment |= {"SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
        if array:
            environment |= {"SLURM_ARRAY_JOB_ID": "71", "SLURM_ARRAY_TASK_ID": str(task)}
        silent = subprocess.DEVNULL
        subprocess.Popen(["bash", script], env=environment, stdout=silent, stderr=silent)
    print("Submitted batch job 71")


def srun(*arguments: str) -> None:
    """Run what comes after the options, which name the logs, in place of this process."""
    command = list(arguments)
    while command[0].startswith("-"):
        option = command.pop(0)
        if option in ("--output", "--error"):
            command.pop(0)
    os.execv(command[0], command)


def sacct(*arguments: str) -> None:
    """Nothing is known: a job has ended when its result is there."""
    print("JobID|State|NodeList")


if __name__ == "__main__":
    {"sbatch": sbatch, "srun": srun, "sacct": sacct}[sys.argv[1]](*sys.argv[2:])
