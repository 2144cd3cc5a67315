"""Run all measurements and write perf/RESULTS.md, updated after each.

python perf/run.py [script …]

Each script runs in a separate process, so that peak memory is measured separately. Rows that this run does
not measure are kept from the last run, in perf/rows, with their device and date.
"""

import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from measure import ROOT, ROWS

HERE = Path(__file__).parent
SCRIPTS = [
    "startup",
    "interventions",
    "recording",
    "scaling",
    "larger_than_memory",
    "larger_than_memory --text",
    "sweep",
    "packed",
    "probe_sweep",
    "draws",
    "solver",
    "icasso",
    "optima",
    "platforms",
    "decomposition",
]
PEERS = ("lm-eval", "scikit-learn", "python-picard", "icalens", "torch")
HEAD = """# Speed

Made by `make perf`, with {peers}.

Ratios of wall-clock time, in brackets of processor time, which other work on the machine disturbs less.
Both sides run in turn, in one process on the same data, and a ratio is the median over rounds; sweeps, draws,
packed rows in float32, the exact subspace and scikit-learn's FastICA as the authors call it take minutes and
run once. A sweep's parts are timed inside it; larger than memory and scaling compare sizes; start-up is
seconds of a process of its own. Peaks are GiB of resident memory over what was there before. Items are
different contexts. Signals: SmolLM2-135M over 10,000 tokens of Wikipedia, 17,280 neurons, k = 64, one start a
round, unless said otherwise. Where a section names no number format, it was the same as in those that do.

Ours converges to a gradient of 1e-7, in decomposition scikit-learn and picard to their 1e-4, while icalens
always takes 200 iterations. Negentropy is that of the best round, of as many of ours as of the other side;
beside whole pipelines of scikit-learn and picard it is that of another subspace, off by the cosine given.
"""


def render() -> None:
    """Write all rows with the arguments of the scripts that measured them."""
    files = {ROWS / f"{name.replace(' --', '_')}.json": name for name in SCRIPTS}
    files |= {
        ROWS / "decomposition_authors.json": "decomposition --authors 1",
        ROWS / "accelerator.json": "accelerator",
    }
    parts = [HEAD.format(peers=", ".join(f"{name} {version(name)}" for name in PEERS))]
    for file, arguments in files.items():
        if not file.is_file():
            continue
        script, *options = arguments.split()
        command = " ".join(["python", f"perf/{script}.py", *options])
        content = json.loads(file.read_text(encoding="utf-8"))
        parts.append(f"\n## {file.stem.replace('_', ' ').capitalize()}\n")
        parts.append(f"{content['where']}, {content['date']}\n")
        parts.append("| what | found | target | quality | peak GiB | command |\n|---|---|---|---|---|---|")
        for row in content["rows"]:
            cells = [row[name].replace("|", "\\|") for name in ("what", "found", "target", "quality", "peak")]
            parts.append(f"| {' | '.join(cells)} | `{command}` |")
    (HERE / "RESULTS.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    wanted = sys.argv[1:] or [*SCRIPTS, *(["accelerator"] if torch.cuda.is_available() else [])]
    failed = []
    for place, name in enumerate(wanted, 1):
        started = time.perf_counter()
        print(f"== {name} ({place}/{len(wanted)})", flush=True)
        script, *more = name.split()
        done = subprocess.run([sys.executable, str(HERE / f"{script}.py"), *more], cwd=ROOT, check=False)
        print(f"== {name}: {time.perf_counter() - started:.0f} s", flush=True)
        if done.returncode != 0:
            failed.append(name)
        render()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
