"""Repeat the paper on the embedded models: every step through the scripts, then the document.

python replication/run.py [--models MODEL,…] [--quick] [--only STEP,…] [--records FOLDER] [override …]

Two steps run at the same time where there are two cores; what a step prints is in console.txt of its
folder. A step that was run to its end with the same command is not repeated; one that was interrupted takes
finished scores and networks from the cache. Overrides, such as dataset.n_texts=20, are added to every step.
With --records, finished steps are taken from a folder and kept there: so docs/replication.md is made of runs
of several days, each step with its commit. The document is written to docs/ after a run of all steps on all
models without overrides, and beside the runs otherwise.
"""

import argparse
import signal
import sys
from pathlib import Path

from document import write_document
from records import keep, restore
from step import MODELS, Model
from steps import STEPS
from together import AT_ONCE, Together

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Run the chosen steps of each model and write the document."""
    parser = _parser()
    chosen, overrides = parser.parse_known_args()
    models = _models(parser, chosen.models, chosen.quick)
    names = [step.name for step in STEPS]
    if unknown := [name for name in chosen.only or () if name not in names]:
        parser.error(f"no step {', '.join(unknown)}; there are: {', '.join(names)}")
    steps = [step for step in STEPS if not (chosen.quick and step.quick is None)]
    wanted = [step for step in steps if chosen.only is None or step.name in chosen.only]
    folder = chosen.folder or f"outputs/paper/{'quick' if chosen.quick else 'full'}"
    records = Path(chosen.records) if chosen.records else None
    if records:
        restore(records, ROOT / folder, tuple(MODELS.values()), steps)
    together = Together(ROOT, folder, chosen.quick, tuple(overrides), chosen.at_once)
    # as where a scheduler or timeout ends it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        failed = [] if chosen.write_only else together.run(models, wanted)
    except KeyboardInterrupt:
        print("== interrupted: finished steps are kept, the same command goes on", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    whole = not chosen.quick and not overrides and chosen.only is None and len(models) == len(MODELS)
    # a document without the steps that failed does not replace a whole one
    default = (ROOT / "docs" if whole and not failed else ROOT / folder) / "replication.md"
    file = Path(chosen.document) if chosen.document else default
    write_document(ROOT / folder, file, chosen.quick, overrides)
    # where nothing was run, what the folder holds may be older than the records
    if records and not chosen.write_only:
        keep(ROOT / folder, records, tuple(MODELS.values()), steps)
    print(f"== {file}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _models(parser: argparse.ArgumentParser, asked: list[str] | None, quick: bool) -> list[Model]:
    """Models that were asked for; else all that are installed, and the first alone in the quick variant."""
    if asked is None:
        found = [model for model in MODELS.values() if model.installed]
        for model in MODELS.values():
            if model not in found:
                print(f"== {model.option} is left out: {model.advice} installs it", flush=True)
        return found[:1] if quick else found
    if unknown := [name for name in asked if name not in MODELS]:
        parser.error(f"no model {', '.join(unknown)}; there are: {', '.join(MODELS)}")
    for name in asked:
        if not MODELS[name].installed:
            parser.error(f"{name} is not installed: {MODELS[name].advice}")
    return [MODELS[name] for name in asked]


def _listed(names: str) -> list[str]:
    return names.split(",")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    # separated by commas: in a list separated by spaces the overrides that follow would count as steps
    options = ", ".join(MODELS)
    parser.add_argument(
        "--models", type=_listed, metavar="MODEL,…", help=f"{options}; all that are installed"
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, a few minutes in all")
    steps = ", ".join(step.name for step in STEPS)
    parser.add_argument("--only", type=_listed, metavar="STEP,…", help=steps)
    parser.add_argument("--folder", help="where the steps leave their results")
    parser.add_argument("--document", help="the file to write; pictures and data go beside it")
    parser.add_argument("--records", help="folder of finished steps, to go on from and to add to")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="how many steps run at the same time")
    parser.add_argument("--write-only", action="store_true", help="run nothing, write the document")
    return parser


if __name__ == "__main__":
    main()
