"""Results of finished steps that are kept with the code, so that the document can be made of several runs."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from runner import BEGUN, DONE
from step import Model, Step

# what the document is made of; networks, checkpoints and logs are not kept
KEPT = (
    BEGUN,
    "sweep/*.csv",
    "sweep/*.md",
    "sweep/figures/*.png",
    "figures/forgetting.png",
    "*/result.json",
    "*/networks/networks.json",
)
# by step: the answers to single items, of which a double dissociation is judged; all jobs have the same draws
KEPT_OF = {"lesion_functions": ("*/tables/items.csv", "0/tables/draw_items.csv")}


def keep(folder: Path, records: Path, models: Sequence[Model], steps: Sequence[Step]) -> None:
    """Copy what finished steps left, from the folder of a run to the records.

    Parameters
    ----------
    folder, records : Path
        Folders of the steps of all models, and of what is kept of them.
    models, steps : sequence
        What to look for; steps that are not finished are left out.
    """
    for model in models:
        for step in steps:
            _copied(folder / model.option / step.name, records / model.option / step.name)


def restore(records: Path, folder: Path, models: Sequence[Model], steps: Sequence[Step]) -> None:
    """Copy what is kept of steps to the folder of a run, unless they were run or begun there."""
    for model in models:
        for step in steps:
            place = folder / model.option / step.name
            if not (place / DONE).is_file() and not (place / BEGUN).is_file():
                _copied(records / model.option / step.name, place)


def _copied(source: Path, target: Path) -> None:
    if not (source / DONE).is_file():
        return
    shutil.rmtree(target, ignore_errors=True)
    for pattern in (*KEPT, *KEPT_OF.get(source.name, ())):
        for file in sorted(source.glob(pattern)):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    # last: what is there in part is not taken for done
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / DONE, target / DONE)
