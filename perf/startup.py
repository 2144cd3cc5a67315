"""Start-up of the scripts, each in a process of its own: help, first line of a run, a value that is refused.

python perf/startup.py [rounds]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from measure import ROOT, Row, save


def until_first_line(*arguments: str) -> float:
    """Seconds until a script has written its first line; it is stopped then."""
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - started
        process.kill()
    if not line:
        raise RuntimeError(f"{' '.join(arguments)} ended without a line")
    return seconds


def until_end(status: int, *arguments: str) -> float:
    """Seconds until a script has ended with this exit status."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != status:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")
    return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        quiet = ("tracking=none", f"hydra.run.dir={folder}/run", f"cache={folder}/cache")
        measured: dict[str, Callable[[], float]] = {
            "python extract.py --help": lambda: until_end(0, "extract.py", "--help"),
            "python extract.py: first line": lambda: until_first_line("extract.py", "model=tiny", *quiet),
            "python extract.py method.n_components=0: refused": lambda: until_end(
                1, "extract.py", "method.n_components=0", *quiet
            ),
            "python -c 'import fbn_exp'": lambda: until_end(0, "-c", "import fbn_exp"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in measured}
        # the first round fills the page cache
        for each in range(rounds + 1):
            for name, run in measured.items():
                took = run()
                if each > 0:
                    seconds[name].append(took)
    save(
        "startup",
        [
            Row(name, f"{statistics.median(took):.2f} s", quality=f"{min(took):.2f} … {max(took):.2f} s")
            for name, took in seconds.items()
        ],
    )


if __name__ == "__main__":
    main()
