"""Write a paper table: csv with every number, markdown beside the paper's own figures, a picture."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fbn_exp.core.files import new_file, save_figure
from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.figure import draw
from fbn_exp.experiments.paper.published import CAPTIONS, PUBLISHED
from fbn_exp.experiments.paper.tables import found_table, markdown, shown

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
    """Write ``sweep/paper.csv``, ``sweep/paper.md`` and a picture into the folder of a sweep.

    Parameters
    ----------
    kind : PaperTable
        Which table of the paper the sweep repeats.
    sweep : Path
        Its folder.
    jobs, scores : DataFrame
        As ``fbn_exp.stages.sweep.collect`` put them together.

    Returns
    -------
    dict of str to DataFrame, dict of str to Path
        Table and picture by name; both empty where no job has finished.
    """
    found = found_table(kind, jobs, scores, _tables_of_jobs(sweep, jobs, "consistency"))
    if found.empty:
        return {}, {}
    folder = sweep / "sweep"
    pictures = folder / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    with new_file(folder / "paper.csv") as partial:
        found.to_csv(partial, index=False)
    text = f"{TITLES[kind]}\n\n{markdown(shown(kind, found))}\n\n{CAPTIONS[kind]}\n"
    if kind in PUBLISHED:
        text += f"\n{markdown(PUBLISHED[kind])}\n"
    if kind is PaperTable.generation:
        text += f"\n{_texts(_tables_of_jobs(sweep, jobs, 'texts'), scores)}\n"
    with new_file(folder / "paper.md") as partial:
        partial.write_text(text, encoding="utf-8")
    figure = draw(kind, found)
    file = pictures / f"paper_{kind.value}.png"
    save_figure(figure, file, 110)
    return {"paper": found}, {f"paper_{kind.value}": file}


def _tables_of_jobs(sweep: Path, jobs: pd.DataFrame, name: str) -> dict[str, pd.DataFrame]:
    """A table of each job that wrote it; cells as they were written, without NaN."""
    files = {str(job): sweep / str(job) / "tables" / f"{name}.csv" for job in jobs["job"]}
    return {job: pd.read_csv(file, keep_default_na=False) for job, file in files.items() if file.is_file()}


def _texts(texts_of_jobs: Mapping[str, pd.DataFrame], scores: pd.DataFrame) -> str:
    """What was written to each prompt: untouched, with a share at random set to 0, with each network at 0."""
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
