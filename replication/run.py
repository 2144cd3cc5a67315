"""Repeat the paper on the embedded model: every step through the scripts, then the document.

python replication/run.py [--quick] [--only STEP,…] [override …]

A step that was run to its end with the same command is not repeated; an interrupted step takes finished
scores and networks from the cache. Overrides, such as model=tiny, are added to every step. The document is
written to docs/ only if all steps were run without overrides, and beside the runs otherwise.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from document import write_document
from steps import STEPS, Step

ROOT = Path(__file__).parent.parent


def run_step(step: Step, folder: str, quick: bool, more: tuple[str, ...]) -> bool:
    """Run a step unless it is done; return True if it is done afterwards."""
    arguments = step.arguments(folder, quick, more)
    typed = f"python {step.script} {'-m ' if step.sweep else ''}{' '.join(map(_quoted, arguments))}"
    place = ROOT / folder / step.name
    done = place / "done.json"
    if done.is_file() and json.loads(done.read_text(encoding="utf-8"))["command"] == typed:
        print(f"== {step.name}: done before", flush=True)
        return True
    # remove jobs of another command, or of one that failed
    shutil.rmtree(place, ignore_errors=True)
    print(f"== {step.name}: {typed}", flush=True)
    started = time.perf_counter()
    mode = ["-m"] if step.sweep else []
    ended = subprocess.run([sys.executable, step.script, *mode, *arguments], cwd=ROOT, check=False)
    seconds = time.perf_counter() - started
    print(f"== {step.name}: {seconds:.0f} s, exit status {ended.returncode}", flush=True)
    if ended.returncode == 0:
        done.write_text(json.dumps({"command": typed, "seconds": seconds}), encoding="utf-8")
    return ended.returncode == 0


def _quoted(argument: str) -> str:
    return f"'{argument}'" if "[" in argument else argument


def _listed(names: str) -> list[str]:
    return names.split(",")


def main() -> None:
    """Run the chosen steps and write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, a few minutes in all")
    # separated by commas: in a list separated by spaces the overrides that follow would count as steps
    names = [step.name for step in STEPS]
    parser.add_argument("--only", type=_listed, default=names, metavar="STEP,…", help=", ".join(names))
    parser.add_argument("--folder", help="where the steps leave their results")
    parser.add_argument("--document", help="the file to write; pictures go beside it")
    chosen, overrides = parser.parse_known_args()
    unknown = [name for name in chosen.only if name not in names]
    if unknown:
        parser.error(f"no step {', '.join(unknown)}; there are: {', '.join(names)}")
    folder = chosen.folder or f"outputs/paper/{'quick' if chosen.quick else 'full'}"
    steps = [step for step in STEPS if step.in_quick or not chosen.quick]
    failed = [
        step.name
        for step in steps
        if step.name in chosen.only and not run_step(step, folder, chosen.quick, tuple(overrides))
    ]
    partial = chosen.quick or overrides or set(chosen.only) != set(names)
    default = ROOT / folder / "replication.md" if partial else ROOT / "docs" / "replication.md"
    file = Path(chosen.document) if chosen.document else default
    write_document(ROOT / folder, file, chosen.quick, overrides)
    print(f"== {file}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
