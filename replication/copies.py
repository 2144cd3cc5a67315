"""Tables and pictures of a step, copied beside the document."""

import shutil
from pathlib import Path

from page import Places
from results import Results
from step import Step

# tables of a sweep in the order of what they tell
TABLES = ("decisive.csv", "decisive_*.csv", "paper.csv", "forgetting.csv")
# what is kept of a sweep besides; scores are, where nothing is made of them
JOBS, REMARKS, SCORES = "jobs.csv", "remarks.csv", "scores.csv"
# pictures of a sweep or run that are shown
PICTURES = ("decisive_*.png", "paper_*.png", "lesion_map.png", "forgetting.png")


def linked_tables(results: Results, step: Step, places: Places) -> str:
    """Copy the tables of a step, and return links to them.

    Parameters
    ----------
    results : Results
        Results of a model.
    step : Step
        The step.
    places : Places
        Where the document lies.
    """
    links = []
    for source in _tables(results.folder / step.name / "sweep"):
        table = source.stem.removeprefix("decisive_")
        # the first table has the name of the step alone
        name = "_".join([results.model.option, step.name, *([table] if links else [])])
        copy = places.data / f"{name}.csv"
        shutil.copyfile(source, copy)
        links.append(f"[{table}]({places.link(copy)})")
    return ", ".join(links)


def shown_pictures(results: Results, step: Step, places: Places) -> list[str]:
    """Copy the pictures of a step, and return the lines that show them."""
    lines = []
    for picture in _pictures(results.folder / step.name):
        copy = places.pictures / f"{results.model.option}_{step.name}_{picture.name}"
        shutil.copyfile(picture, copy)
        lines.append(f"![{results.model.name}: {step.title}]({places.link(copy)})\n")
    return lines


def _tables(folder: Path) -> list[Path]:
    made = [file for pattern in TABLES for file in sorted(folder.glob(pattern))]
    return [
        *made,
        *(
            file
            for name in ((JOBS, REMARKS) if made else (SCORES, JOBS, REMARKS))
            if (file := folder / name).is_file()
        ),
    ]


def _pictures(place: Path) -> list[Path]:
    """List the pictures of a sweep as a whole, or of a single run."""
    folder = place / "sweep" / "figures"
    folder = folder if folder.is_dir() else place / "figures"
    return [file for pattern in PICTURES for file in sorted(folder.glob(pattern))]
