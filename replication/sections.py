"""Sections of the document: a step with the command, data, verdicts, table and pictures of each model."""

from collections.abc import Mapping, Sequence

import pandas as pd
from copies import linked_tables, shown_pictures
from page import Places, counted, folded, folded_text, shortened
from remarks import remarks
from results import Results
from step import Step
from verdicts import Judged
from wording import about_networks, whole_claim, without_model

from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.tables import markdown, readable_table

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
# what is shown of extracted networks, with its name for reading
OF_NETWORKS = {
    "job": "job",
    "override/signals": "signals",
    "method/starts_converged": "starts that converged",
    "method/starts_at_best": "that reached the best optimum",
    "method/gradient": "gradient",
    "explained_variance": "explained variance",
    "networks/union_size": "members in all",
}
# what is shown of trained models
OF_TRAINED = (
    "override/dataset",
    "override/seed",
    "task",
    "metric",
    "before",
    "after",
    "ci_low",
    "ci_high",
    "n",
    "chance",
)
# where verdicts rest on the numbers of two steps: what is said of the other one
ALSO = {
    "lesion": ("lesion_tasks", "Numbers of tasks are those of"),
    "lesion_tasks": ("lesion", "Verdicts on these numbers stand in the section of"),
    "generation": ("generation_share", "Numbers of 15% at random are those of"),
    "generation_share": ("generation", "The verdict on these numbers stands in the section of"),
}
# measure of a benchmark whose items are texts
OF_TEXTS = "nats_per_token"


def section(
    step: Step, found: Mapping[Results, Sequence[Judged]], places: Places, sizes: bool = False
) -> str:
    """Section of a step; its tables and pictures are copied beside the document.

    Parameters
    ----------
    step : Step
        The step.
    found : mapping of Results to sequence of Judged
        Verdicts for each model that it was run on.
    places : Places
        Where the document lies.
    sizes : bool
        True to tell where the sizes of ``make paper`` are others today.
    """
    # headings change with titles: links lead to the name of the step
    parts = [f'<a id="{step.name}"></a>\n\n### {step.title}\n', about_networks(step)]
    for results, every in found.items():
        commit = results.commit(step.name)
        about = f"**{results.model.name}**. {f'Code of `{commit}`, ' if commit else ''}"
        about += f"{results.seconds(step.name):,.0f} s."
        if rule := results.judged_by(step.name):
            about += f" Judged again by the rule of `{rule}`, from the table of the run."
        if data := linked_tables(results, step, places):
            about += f" Data: {data}."
        command = results.command(step.name)
        if sizes and (changed := step.changed(command, results.model.option)):
            about += f" `make paper` has {', '.join(f'`{each}`' for each in changed)} here today."
        parts.append(f"{about}\n\n    {command}\n")
        parts.append(_verdicts(results, step, every))
        parts.append(_shown(results, step))
        parts.append(remarks(results, step.name))
        parts += shown_pictures(results, step, places)
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
    return f"## Not run\n\n{table}\n"


def _alone(results: Results, step: Step, quick: bool) -> str:
    option = results.model.option
    return f"python replication/run.py {'--quick ' if quick else ''}--models {option} --only {step.name}"


def _verdicts(results: Results, step: Step, every: Sequence[Judged]) -> str:
    """Verdicts that rest on a step, with their numbers."""
    of_step = [each.finding for each in every if each.step == step.name]
    lines = [
        f"- *{whole_claim(one.claim)}* **{_capitalised(without_model(one.verdict))}.** "
        f"{_capitalised(one.numbers)}."
        for one in of_step
    ]
    other, said = ALSO.get(step.name, ("", ""))
    if said and results.has(other):
        lines.append(f"- {said} [{other}](#{other}).")
    return "\n".join(lines) + "\n" if lines else ""


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shown(results: Results, step: Step) -> str:
    """Table of a step for reading."""
    place = results.folder / step.name / "sweep"
    if (place / "decisive.md").is_file():
        return _decided(results, step)
    if (place / "paper.csv").is_file():
        name = max((name for name in KINDS if step.name.startswith(name)), key=len)
        rows = results.paper(step.name)
        table = readable_table(KINDS[name], rows)
        shown = folded("; ".join([counted(len(table), "row"), *_sizes(rows)]), table)
        return shown + _texts(results, step) if name == "generation" else shown
    if step.name == "networks":
        return _networks(results)
    if (place / "forgetting.csv").is_file():
        return _trained(results, step)
    return ""


def _sizes(rows: pd.DataFrame) -> list[str]:
    """Numbers of items and draws of a table of the paper, in words."""
    of_texts = "metric" in rows and (rows["metric"] == OF_TEXTS).all()
    words = [_span(rows, "n", "text") if of_texts else _span(rows, "n", "item", " of each task")]
    words.append(_span(rows, "draws", "draw", " of each kind of control"))
    return [each for each in words if each]


def _span(rows: pd.DataFrame, column: str, noun: str, of: str = "") -> str:
    """Smallest and largest number of a column, in words; empty if none is known."""
    numbers = sorted({int(number) for number in rows[column].dropna()}) if column in rows else []
    if not numbers:
        return ""
    smallest = f"{numbers[0]:,} to " if len(numbers) > 1 else ""
    return f"{smallest}{counted(numbers[-1], noun)}{of}"


def _decided(results: Results, step: Step) -> str:
    said = results.decided(step.name)
    page = (results.folder / step.name / "sweep" / "decisive.md").read_text(encoding="utf-8")
    tables = [shortened(block) for block in page.split("\n\n") if block.startswith("|")]
    shown = {**said, "Outcome": without_model(said["Outcome"])}
    first = "\n>\n".join(f"> **{head}.** {shown[head]}" for head in list(shown)[:2])
    rest = "\n\n".join([*(f"**{head}.** {text}" for head, text in list(shown.items())[2:]), *tables])
    return f"{first}\n\n{folded_text('Numbers, rule, design, table', rest)}"


def _texts(results: Results, step: Step) -> str:
    """Texts of the first prompts, folded; all of them are in the tables of the run."""
    page = (results.folder / step.name / "sweep" / "paper.md").read_text(encoding="utf-8")
    prompts = ("Prompt" + each for each in page.split("\n\nPrompt")[1:4])
    return "\n" + folded_text("Texts from the first three prompts", "\n\n".join(prompts))


def _networks(results: Results) -> str:
    jobs = results.table("networks/sweep/jobs.csv")
    table = jobs[[name for name in OF_NETWORKS if name in jobs]].rename(columns=OF_NETWORKS)
    return f"{markdown(table)}\n"


def _trained(results: Results, step: Step) -> str:
    table = results.table(f"{step.name}/sweep/forgetting.csv")
    rows = table[table["metric"].isin(["acc", "balanced_acc"]) & (table["role"] == "trained")]
    shown = rows[[name for name in OF_TRAINED if name in rows]].round(3)
    shown.columns = [name.removeprefix("override/") for name in shown]
    return "`ci_low` and `ci_high` are of the gain, `chance` is the majority rate.\n\n" + folded(
        counted(len(shown), "row"), shown
    )
