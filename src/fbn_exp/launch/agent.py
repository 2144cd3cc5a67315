"""``accelerate launch`` that also records failed ranks: ``python -m fbn_exp.launch.agent``."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fbn_exp.core.files import write_json

# exit codes of a terminated rank; rank 0 handles SIGTERM
ASKED = (-signal.SIGTERM, 128 + signal.SIGTERM)
# seconds after the first failure within which another is independent: torch's launcher kills ranks after 30
PATIENCE = 15


def causes(failures: Mapping[int, Any]) -> dict[int, int]:
    """Find the ranks that failed by themselves, and their exit codes.

    Parameters
    ----------
    failures : mapping of int to ProcessFailure
        Failures by rank as torch's launcher saw them, including ranks that it ended because others failed.

    Returns
    -------
    dict of int to int
        Exit code by rank; a negative one is a signal.
    """
    first = min(death.timestamp for death in failures.values())
    early = {rank: death.exitcode for rank, death in failures.items() if death.timestamp < first + PATIENCE}
    # the launcher sees the first failure before it terminates any rank
    by_themselves = {rank: code for rank, code in early.items() if code not in ASKED}
    return by_themselves or dict([next(iter(early.items()))])


def main() -> None:
    """Start the ranks; the first argument is the file for failed ranks, the others are accelerate's."""
    from accelerate.commands import launch
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    deaths = Path(sys.argv.pop(1))
    try:
        launch.main()
    except ChildFailedError as error:
        died = causes(error.failures)
    except subprocess.CalledProcessError as error:
        died = {0: error.returncode}
    else:
        return
    write_json(deaths, died)
    sys.exit(1)


if __name__ == "__main__":
    main()
