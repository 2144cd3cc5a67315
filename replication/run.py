"""Repeat the paper on the embedded models: every step through the scripts, then the document.

python replication/run.py [--models MODEL,…] [--quick] [--only STEP,…] [--records FOLDER] [override …]

A step that was run to its end with the same command is not repeated; one that was interrupted takes
finished scores and networks from the cache. Overrides, such as dataset.n_texts=20, are added to every step.
With --records, finished steps are taken from a folder and kept there: so docs/replication.md is made of runs
of several days, each step with its commit. The document is written to docs/ after a run of all steps on all
models without overrides, and beside the runs otherwise.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from document import write_document
from progress import Seconds, in_minutes
from records import keep, restore
from runner import done_before, run_step
from step import MODELS, Model, Step
from steps import STEPS

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
    failed = [] if chosen.write_only else run_all(models, wanted, folder, chosen.quick, tuple(overrides))
    whole = not chosen.quick and not overrides and chosen.only is None and len(models) == len(MODELS)
    default = ROOT / "docs" / "replication.md" if whole else ROOT / folder / "replication.md"
    file = Path(chosen.document) if chosen.document else default
    write_document(ROOT / folder, file, chosen.quick, overrides)
    if records:
        keep(ROOT / folder, records, tuple(MODELS.values()), steps)
    print(f"== {file}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run_all(
    models: Sequence[Model], steps: Sequence[Step], folder: str, quick: bool, more: tuple[str, ...] = ()
) -> list[str]:
    """Run what was not run before; return the names of steps that failed.

    Parameters
    ----------
    models, steps : sequence
        What to run; all steps of a model before the next model.
    folder : str
        Folder of all runs, relative to the repository.
    quick : bool
        True for the quick variant.
    more : tuple of str
        Overrides that every step gets.
    """
    seconds, started = Seconds.beside(ROOT / folder), time.perf_counter()
    variant = "quick" if quick else "full"
    everything = [(model, step) for model in models for step in steps]
    todo = []
    for model, step in everything:
        command = step.command(model.option, f"{folder}/{model.option}", quick, more)
        if done_before(ROOT / folder / model.option / step.name, command, step.leaves):
            print(f"== {model.option}/{step.name}: done before", flush=True)
        else:
            todo.append((model, step))
    names = [f"{variant}/{model.option}/{step.name}" for model, step in todo]
    failed = []
    for place, (model, step) in enumerate(todo):
        so_far, now = in_minutes(time.perf_counter() - started), datetime.now()
        print(
            f"== {model.option}/{step.name}: step {place + 1} of {len(todo)}, at {now:%H:%M} after {so_far}; "
            f"this one {seconds.in_words(names[place : place + 1])}, all that is left "
            f"{seconds.in_words(names[place:])}",
            flush=True,
        )
        took = run_step(ROOT, model, step, folder, quick, more)
        if took is None:
            failed.append(f"{model.option}/{step.name}")
        else:
            seconds.add(names[place], took)
    return failed


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
    parser.add_argument("--write-only", action="store_true", help="run nothing, write the document")
    return parser


if __name__ == "__main__":
    main()
