"""Every experiment of the paper, through the real script, on the tiny model."""

from pathlib import Path

import pandas as pd
import pytest
from scripts import REPOSITORY, TINY, finished

from fbn_exp.experiments.config import PaperTable

# what makes each of them short, and the number of jobs that are left
SHORT = {
    "consistency": (("dataset=wiki,math", "benchmark.dataset.n_texts=4"), 2),
    "lesion": (("benchmark=perplexity,classification", "benchmark.dataset.n_texts=4"), 2),
    "lesion_single": (("benchmark.limit=2", "intervention.networks=[0],[1]"), 2),
    "preservation": (("method.n_components=2,4", "benchmark.dataset.n_texts=4"), 2),
    "amplification": (("benchmark.limit=2", "intervention.networks=all,[1]", "factors=[1,1.5]"), 2),
    "generation": (("benchmark.new_tokens=4", "intervention.networks=[0],[1]"), 2),
}


def experiments():
    return sorted(file.stem for file in (REPOSITORY / "conf" / "experiment" / "paper").glob("*.yaml"))


def test_every_table_of_the_paper_has_its_experiment():
    assert experiments() == sorted(PaperTable) == sorted(SHORT)
    others = {file.parent.name for file in (REPOSITORY / "conf" / "experiment").rglob("*.yaml")}
    assert others == {"paper"}  # a new one needs a test


@pytest.mark.parametrize("name", experiments())
def test_an_experiment_ends_in_the_papers_table_and_its_picture(name, tmp_path):
    short, n_jobs = SHORT[name]
    small = [each for each in TINY if each.partition("=")[0] not in {one.partition("=")[0] for one in short}]
    more = ("tracking=none", "controls.repeats=1", f"hydra.sweep.dir={tmp_path / 'run'}", f"cache={tmp_path}")
    # a sweep by itself: the experiment says so, with or without -m
    done = finished("evaluate.py", f"experiment=paper/{name}", *small, *short, *more)
    sweep = tmp_path / "run" / "sweep"
    table = pd.read_csv(sweep / "paper.csv")
    assert len(pd.read_csv(sweep / "jobs.csv")) == n_jobs
    assert len(table) >= n_jobs
    picture = sweep / "figures" / f"paper_{name}.png"
    assert picture.stat().st_size > 10_000
    assert Path(picture).name in done.stdout + done.stderr
    share = name in ("lesion", "generation")  # beside 15% of all neurons, as in the paper
    assert ("control_share" in table and table["control_share"].notna().all()) == share
