"""Write the document about a replication: claim by claim, then every table with its command and data."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from claim_table import claims
from page import Places, narrow
from results import Results
from sections import not_run, section
from side_by_side import side_by_side
from step import MODELS, Step
from steps import STEPS
from verdicts import Judged, judged

# verdicts for each model
Verdicts = Mapping[Results, Sequence[Judged]]

HERE = Path(__file__).parent
QUICK = (
    "This quick variant shows that every step runs; its items and updates are too few to judge a claim by.\n"
)
# experiments that decide, before those of the paper
DECISIVE = ("sink", "ica", "classifiers", "enough", "share")
BY_HAND = (
    "What was [measured by hand](#measured-by-hand-before-this-run) has its commands beside it, and no "
    "tables."
)
ITEMS = (
    "Double dissociations are judged by the answers to single items, which are too many to be copied: the "
    "step `lesion_functions` leaves them in `tables/items.csv` of each job (in this repository below "
    "`replication/records`)."
)


def write_document(folder: Path, file: Path, quick: bool = False, overrides: Sequence[str] = ()) -> None:
    """Write the results of the steps in a folder, and copy their tables and pictures beside the document.

    Parameters
    ----------
    folder : Path
        Folder of the runs of all models; steps that are not there are named as not run.
    file : Path
        Path of the document.
    quick : bool
        True for the steps of the quick variant.
    overrides : sequence of str
        Overrides that were added to every step.
    """
    found = {each: judged(each) for each in (Results(folder / one.option, one) for one in MODELS.values())}
    places = Places(file)
    places.clear(tuple(MODELS))
    steps = [step for step in STEPS if not (quick and step.quick is None)]
    whole = not quick and not overrides
    parts = [_head(found, quick, overrides), *([QUICK] if quick else [])]
    deciding = [step for step in steps if step.name in DECISIVE]
    parts += _sections("Experiments A to C", deciding, found, places, whole)
    parts.append(side_by_side(list(found)))
    others = [step for step in steps if step not in deciding]
    parts += _sections("The paper's experiments", others, found, places, whole)
    parts.append(not_run(steps, list(found), quick))
    if whole:
        parts.append((HERE / "measured.md").read_text(encoding="utf-8"))
    file.write_text(narrow("\n".join(part for part in parts if part)), encoding="utf-8")


def _sections(title: str, steps: Sequence[Step], found: Verdicts, places: Places, sizes: bool) -> list[str]:
    """Sections of the steps that were run on any model, below a title; none if there are none."""
    parts = []
    for step in steps:
        ran = {results: every for results, every in found.items() if results.has(step.name)}
        if ran:
            parts.append(section(step, ran, places, sizes))
    return [f"## {title}\n", *parts] if parts else []


def _head(found: Verdicts, quick: bool, overrides: Sequence[str]) -> str:
    return (
        (HERE / "head.md")
        .read_text(encoding="utf-8")
        .format(
            models=" and ".join(map(_in_words, found)),
            made=_made(list(found), quick, overrides),
            exceptions=ITEMS if quick or overrides else f"{ITEMS} {BY_HAND}",
            claims=claims(found),
        )
    )


def _made(of_models: Sequence[Results], quick: bool, overrides: Sequence[str]) -> str:
    command = f"`make {'paper-quick' if quick else 'paper'}`"
    command += f" with {' '.join(overrides)}" if overrides else ""
    done = [[step.name for step in STEPS if results.has(step.name)] for results in of_models]
    commits = {results.commit(step) for results, ran in zip(of_models, done, strict=True) for step in ran}
    made = f"Made by the steps of {command}"
    if len(commits) > 1:
        made += ", run on several days (`--records`), each with the commit that its section names"
    times = [
        f"{len(ran)} of {len(STEPS)} steps on {results.model.name} in "
        f"{sum(results.seconds(step) for step in ran) / 60:,.0f} minutes"
        for results, ran in zip(of_models, done, strict=True)
    ]
    return f"{made}: {', '.join(times)} of steps, of which two run at a time."


def _in_words(results: Results) -> str:
    neurons = results.n_neurons()
    return results.model.name + (f" ({neurons:,} MLP-output neurons)" if neurons else "")
