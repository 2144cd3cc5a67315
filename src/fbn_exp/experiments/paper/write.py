"""Write a table of the paper: csv with every number, markdown beside the published numbers, a figure."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fbn_exp.core.files import new_file, save_figure
from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.figure import draw
from fbn_exp.experiments.paper.published import CAPTIONS, PUBLISHED
from fbn_exp.experiments.paper.tables import markdown, readable_table, results_table

TITLES = {
    PaperTable.consistency: "Networks that recur in single other texts (the paper's tables 1 to 3)",
    PaperTable.lesion: "All networks set to 0",
    PaperTable.lesion_single: "One network at a time set to 0",
    PaperTable.preservation: "Everything outside the networks set to 0",
    PaperTable.amplification: "Networks amplified: factor chosen for each task on dev, score on test",
    PaperTable.generation: "Texts written with one network at a time set to 0",
}


def write_paper(
    kind: PaperTable, sweep: Path, jobs: pd.DataFrame, scores: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], dict[str, Path]]:
    """Write ``sweep/paper.csv``, ``sweep/paper.md`` and a figure into the folder of a sweep.

    Parameters
    ----------
    kind : PaperTable
        Table of the paper that the sweep repeats.
    sweep : Path
        Folder of the sweep.
    jobs, scores : DataFrame
        Tables collected by ``fbn_exp.stages.sweeps.sweep.collect``.

    Returns
    -------
    dict of str to DataFrame, dict of str to Path
        Table and figure by name; both empty if no job has finished.
    """
    table = results_table(kind, jobs, scores, _tables_of_jobs(sweep, jobs, "consistency"))
    if table.empty:
        return {}, {}
    folder = sweep / "sweep"
    pictures = folder / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    with new_file(folder / "paper.csv") as partial:
        table.to_csv(partial, index=False)
    text = f"{TITLES[kind]}\n\n{markdown(readable_table(kind, table))}\n\n{CAPTIONS[kind]}\n"
    if kind in PUBLISHED:
        text += f"\n{markdown(PUBLISHED[kind])}\n"
    if kind is PaperTable.generation:
        text += f"\n{_texts(_tables_of_jobs(sweep, jobs, 'texts'), scores)}\n"
    with new_file(folder / "paper.md") as partial:
        partial.write_text(text, encoding="utf-8")
    figure = draw(kind, table)
    file = pictures / f"paper_{kind.value}.png"
    save_figure(figure, file, 110)
    return {"paper": table}, {f"paper_{kind.value}": file}


def _tables_of_jobs(sweep: Path, jobs: pd.DataFrame, name: str) -> dict[str, pd.DataFrame]:
    """Read a table of every job that wrote it; cells as they were written, without NaN."""
    files = {str(job): sweep / str(job) / "tables" / f"{name}.csv" for job in jobs["job"]}
    return {job: pd.read_csv(file, keep_default_na=False) for job, file in files.items() if file.is_file()}


def _texts(texts_of_jobs: Mapping[str, pd.DataFrame], scores: pd.DataFrame) -> str:
    """Texts generated for each prompt: without a lesion, with random neurons at 0, with each network at 0."""
    networks = dict(zip(scores["job"].astype(str), scores["networks"], strict=True))
    written: dict[str, list[str]] = {}
    for job, texts in texts_of_jobs.items():
        written.setdefault("untouched", texts["untouched"].tolist())
        if "share control" in texts:
            written.setdefault("share of all at random", texts["share control"].tolist())
        name = networks[job]
        who = "networks all" if name == "all" else f"network {name} set to 0"
        written[who] = texts["intervened"].tolist()
    n_prompts = len(next(iter(written.values()), []))
    parts = []
    for prompt in range(n_prompts):
        rows = [(who, texts[prompt].strip()) for who, texts in written.items()]
        parts.append(
            f"Prompt {prompt + 1}\n\n{markdown(pd.DataFrame(rows, columns=['model', 'goes on with']))}"
        )
    return "\n\n".join(parts)
