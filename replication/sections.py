"""Sections of the document: a step with the command, data, table and pictures of each model."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from page import Places, folded, folded_text
from results import Results
from step import Step

from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.tables import markdown, readable_table

# tables of a step that are kept beside the document, the first of those that are there
DATA = (
    "sweep/decisive.csv",
    "sweep/paper.csv",
    "sweep/scores.csv",
    "sweep/jobs.csv",
    "tables/forgetting.csv",
)
# pictures of a sweep or run that are shown
PICTURES = ("decisive_*.png", "paper_*.png", "lesion_map.png", "forgetting.png")
# experiments of the paper by the steps that repeat them
KINDS = {
    "consistency": PaperTable.consistency,
    "lesion_single": PaperTable.lesion_single,
    "lesion_functions": PaperTable.lesion_single,
    "tuned_lesion_single": PaperTable.lesion_single,
    "preservation": PaperTable.preservation,
    "amplification": PaperTable.amplification,
    "generation": PaperTable.generation,
    "lesion": PaperTable.lesion,
    "tuned_lesion": PaperTable.lesion,
}
# metrics of extracted networks, with their names for reading
OF_NETWORKS = {
    "method/starts_converged": "starts that converged",
    "method/starts_at_best": "that reached the best optimum",
    "method/gradient": "gradient",
    "networks/explained_variance": "explained variance",
    "networks/union": "members in all",
}


def section(step: Step, ran: Sequence[Results], places: Places) -> str:
    """Section of a step; its tables and pictures are copied beside the document.

    Parameters
    ----------
    step : Step
        The step.
    ran : sequence of Results
        Results of the models that it was run on.
    places : Places
        Where the document lies.
    """
    parts = [f"### {step.name}\n", f"{step.title}.\n"]
    for results in ran:
        said = f"**{results.model.name}**, {results.seconds(step.name):.0f} s"
        if commit := results.commit(step.name):
            said += f", code of `{commit}`"
        if data := _copied_data(results, step, places):
            said += f": [{data.name}]({places.link(data)})"
        parts.append(f"{said}\n\n    {results.command(step.name)}\n")
        parts.append(_shown(results, step))
        for picture in _pictures(results.folder / step.name):
            copy = places.pictures / f"{results.model.option}_{step.name}_{picture.name}"
            shutil.copyfile(picture, copy)
            parts.append(f"![{step.title}, {results.model.name}]({places.link(copy)})\n")
    return "\n".join(part for part in parts if part)


def not_run(steps: Sequence[Step], of_models: Sequence[Results], quick: bool) -> str:
    """Commands of the steps that were not run, model by model; empty if all were."""
    missing = [
        (results.model.name, step.name, f"`{_alone(results, step, quick)}`")
        for results in of_models
        for step in steps
        if not results.has(step.name)
    ]
    if not missing:
        return ""
    table = markdown(pd.DataFrame(missing, columns=["model", "step", "command"]))
    return f"### Not run\n\n{table}\n"


def _alone(results: Results, step: Step, quick: bool) -> str:
    option = results.model.option
    return f"python replication/run.py {'--quick ' if quick else ''}--models {option} --only {step.name}"


def _copied_data(results: Results, step: Step, places: Places) -> Path | None:
    for name in DATA:
        source = results.folder / step.name / name
        if source.is_file():
            copy = places.data / f"{results.model.option}_{step.name}.csv"
            shutil.copyfile(source, copy)
            return copy
    return None


def _shown(results: Results, step: Step) -> str:
    """Table of a step for reading."""
    place = results.folder / step.name
    if (place / "sweep" / "decisive.md").is_file():
        return _decided(results, step)
    if (place / "sweep" / "paper.csv").is_file():
        name = max((name for name in KINDS if step.name.startswith(name)), key=len)
        table = readable_table(KINDS[name], results.paper(step.name))
        shown = folded(f"{len(table)} rows", table)
        return shown + _texts(place) if name == "generation" else shown
    if step.name == "networks":
        return _networks(results)
    if (place / "sweep" / "forgetting.csv").is_file():
        return _trained(results, step)
    return ""


def _decided(results: Results, step: Step) -> str:
    said = results.decided(step.name)
    page = (results.folder / step.name / "sweep" / "decisive.md").read_text(encoding="utf-8")
    tables = [block for block in page.split("\n\n") if block.startswith("|")]
    first = "\n>\n".join(f"> **{head}.** {said[head]}" for head in list(said)[:2])
    rest = "\n\n".join([*(f"**{head}.** {text}" for head, text in list(said.items())[2:]), *tables])
    return f"{first}\n\n{folded_text('Numbers, rule, design, table', rest)}"


def _texts(place: Path) -> str:
    """Texts of the first prompts, folded; all of them are in the tables of the run."""
    page = (place / "sweep" / "paper.md").read_text(encoding="utf-8")
    prompts = ("Prompt" + each for each in page.split("\n\nPrompt")[1:4])
    return "\n" + folded_text("Texts from the first three prompts", "\n\n".join(prompts))


def _networks(results: Results) -> str:
    jobs = results.table("networks/sweep/jobs.csv")
    columns = {name: jobs[name] for name in jobs if name.startswith("override/")}
    columns |= {words: jobs[name] for name, words in OF_NETWORKS.items() if name in jobs}
    table = pd.DataFrame({name.removeprefix("override/"): column for name, column in columns.items()})
    return f"{markdown(table)}\n"


def _trained(results: Results, step: Step) -> str:
    table = results.table(f"{step.name}/sweep/forgetting.csv")
    rows = table[table["metric"].isin(["acc", "balanced_acc"]) & (table["role"] == "trained")]
    names = [
        "override/dataset",
        "override/seed",
        "task",
        "metric",
        "before",
        "after",
        "ci_low",
        "ci_high",
        "n",
    ]
    shown = rows[[name for name in (*names, "chance") if name in rows]].round(3)
    shown.columns = [name.removeprefix("override/") for name in shown]
    return "`ci_low` and `ci_high` are of the gain, `chance` is the majority rate.\n\n" + folded(
        f"{len(shown)} rows", shown
    )


def _pictures(place: Path) -> list[Path]:
    """List the pictures of a sweep as a whole, or of a single run."""
    folder = place / "sweep" / "figures"
    folder = folder if folder.is_dir() else place / "figures"
    return [file for pattern in PICTURES for file in sorted(folder.glob(pattern))]
