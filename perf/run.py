"""Run all measurements and write perf/RESULTS.md, updated after each.

python perf/run.py [script …]

Each script runs in a separate process, so that peak memory is measured separately. Rows that this run does
not measure are kept from the last run, in perf/rows, with their device and date.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from measure import ROOT, ROWS

HERE = Path(__file__).parent
SCRIPTS = [
    "interventions",
    "recording",
    "scaling",
    "larger_than_memory",
    "larger_than_memory --text",
    "sweep",
    "packed",
    "solver",
    "optima",
    "decomposition",
]
HEAD = """# Speed

Made by `make perf`. Times are wall-clock ratios, in brackets ratios of processor time: on a machine that
others use too, the latter are to be trusted. Both sides run in one process on the same data, in turn, and a
ratio is the median over rounds, with these exceptions. What takes long runs once: the exact subspace and
scikit-learn's FastICA as the authors call it, each compared with every run of ours, signals larger than
memory, and the sweep, whose parts are timed inside it. Larger than memory and scaling compare sizes, not
sides. Peaks are GiB of resident memory over what was there before. Signals: SmolLM2-135M over 10,000 tokens
of Wikipedia, 17,280 neurons, k = 64, one start a round, unless said otherwise. Negentropy is that of the best
round, of as many of ours as of the other side.

Where a target is missed or just met, this was measured. From text to ten networks took 1.21 to 1.33 times
the forward pass of so small a model in five runs of `perf/recording.py`: recording, the range finder, and
ICA, which on raw signals takes all of its 3 × 400 iterations, cost about as much each. In the sweep of tiny
jobs 12 s of 49 are imports, folders, tables and pictures. scikit-learn's FastICA as the authors call it took
264 to 296 s here, 385 s where its target was set.

Negentropy beside scikit-learn's and picard's whole pipelines is that of other subspaces, as theirs are off by
the cosines given. Otherwise the start decides about the third digit, either way; the tolerance is 1e-4 by the
same definition in scikit-learn, while icalens always takes 200 iterations.
"""


def render() -> None:
    """Write all rows with the arguments of the scripts that measured them."""
    files = {ROWS / f"{name.replace(' --', '_')}.json": name for name in SCRIPTS}
    files |= {
        ROWS / "decomposition_authors.json": "decomposition --authors 1",
        ROWS / "accelerator.json": "accelerator",
    }
    parts = [HEAD]
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
