"""``accelerate launch`` that also leaves word of the ranks that died: ``python -m fbn_exp.launch.agent``."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fbn_exp.core.files import write_json

# exit codes of a rank that was asked to end; rank 0 handles that signal
ASKED = (-signal.SIGTERM, 128 + signal.SIGTERM)
# seconds after the first death in which another one is no work of torch's launcher, which kills after 30
PATIENCE = 15


def causes(failures: Mapping[int, Any]) -> dict[int, int]:
    """Ranks that failed by themselves, and their exit codes.

    Parameters
    ----------
    failures : mapping of int to ProcessFailure
        By rank, as torch's launcher saw them; among them are ranks that it ended because of the others.

    Returns
    -------
    dict of int to int
        A negative exit code is a signal.
    """
    first = min(each.timestamp for each in failures.values())
    early = {rank: each.exitcode for rank, each in failures.items() if each.timestamp < first + PATIENCE}
    # the launcher saw the first of them before it asked any rank to end
    by_themselves = {rank: code for rank, code in early.items() if code not in ASKED}
    return by_themselves or dict([next(iter(early.items()))])


def main() -> None:
    """Start the ranks: the first argument is the file for their deaths, the rest is accelerate's."""
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
