"""Every experiment, through the real script, on the tiny model."""

from pathlib import Path

import pandas as pd
import pytest
from scripts import REPOSITORY, TINY, finished

from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.decisive.config import Decisive

# what makes each of them short, and the number of jobs that are left
SHORT = {
    "consistency": (("dataset=wiki,math", "benchmark.dataset.n_texts=4"), 2),
    "lesion": (("benchmark=perplexity,classification", "benchmark.dataset.n_texts=4"), 2),
    "lesion_single": (("benchmark.limit=2", "intervention.networks=[0],[1]"), 2),
    "preservation": (("method.n_components=2,4", "benchmark.dataset.n_texts=4"), 2),
    "amplification": (("benchmark.limit=2", "intervention.networks=all,[1]", "factors=[1,1.5]"), 2),
    "generation": (("benchmark.new_tokens=4", "intervention.networks=[0],[1]"), 2),
}


# the same of those that decide a question
DECISIVE = {
    "sink": (
        (
            "decisive.draws=19",
            "decisive.remedies=[without_keystones/zero/all,all/position_mean/all]",
            "intervention.members=all,without_keystones",
            "intervention.fill=zero,position_mean",
            "intervention.tokens=all",
        ),
        4,
    ),
    "ica": (
        (
            "decisive.items=6",
            "decisive.rotations=19",
            "decisive.per_method=2",
            "dataset.n_texts=12",
            "decisive.permutations=99",
            "method=ica,pca",
            "method.n_components=3",
        ),
        4,
    ),
    # classifiers of tweets, two seeds
    "preservation": (
        (
            *("method.n_components=2", "decisive.components=2", "intervention.fill=zero"),
            *("dataset@benchmark.dataset=tweets", "decisive.classifier=0,1", "benchmark.probe_texts=12"),
        ),
        4,
    ),
    "share": (
        (
            *("dataset@benchmark.dataset=tweets", "decisive.classifier=0,1"),
            *("method.n_components=2", "controls.repeats=2"),
        ),
        4,
    ),
}
CLASSIFIERS = "classifiers"


def experiments(kind="paper"):
    return sorted(file.stem for file in (REPOSITORY / "conf" / "experiment" / kind).glob("*.yaml"))


def test_every_table_of_the_paper_has_its_experiment():
    assert experiments() == sorted(PaperTable) == sorted(SHORT)
    assert sorted({*experiments("decisive")} - {CLASSIFIERS}) == sorted(Decisive) == sorted(DECISIVE)
    others = {file.parent.name for file in (REPOSITORY / "conf" / "experiment").rglob("*.yaml")}
    assert others == {"paper", "decisive", "pruning"}  # a new one needs a test


# half a minute each; this one has both a benchmark and controls of its own
QUICK = "lesion"


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in experiments()],
)
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


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    """Folder of classifiers that the first command of an experiment has trained."""
    folder = tmp_path_factory.mktemp("classifiers")
    finished(
        "train.py",
        f"experiment=decisive/{CLASSIFIERS}",
        *("model=tiny", "dataset=tweets", "seed=0,1", "trainable.blocks=1", "dataset.n_texts=12"),
        *("task.dev_texts=4", "task.test_texts=4", "trainer.max_steps=2", "trainer.warmup_steps=0"),
        *("tracking=none", "figures.dpi=30", f"hydra.sweep.dir={folder}", f"cache={folder / 'cache'}"),
    )
    return folder


@pytest.mark.parametrize("name", DECISIVE)
def test_a_decisive_experiment_ends_in_table_picture_and_verdict(name, tmp_path, request):
    short, n_jobs = DECISIVE[name]
    if name not in ("sink", "ica"):
        short = (*short, f"decisive.classifiers={request.getfixturevalue('classifiers')}")
    more = ("tracking=none", f"hydra.sweep.dir={tmp_path / 'run'}", f"cache={tmp_path}")
    # probes have items in place of texts
    small = ("figures.dpi=30",) if name == "ica" else ("benchmark.dataset.n_texts=4", "figures.dpi=30")
    own = {each.partition("=")[0] for each in short}
    tiny = [each for each in TINY if each.partition("=")[0] not in own]
    done = finished("evaluate.py", f"experiment=decisive/{name}", *tiny, *small, *short, *more)
    sweep = tmp_path / "run" / "sweep"
    jobs = pd.read_csv(sweep / "jobs.csv")
    assert len(jobs) == n_jobs
    assert jobs["error"].isna().all()
    assert len(pd.read_csv(sweep / "decisive.csv")) >= 1
    page = (sweep / "decisive.md").read_text()
    order = [
        "# ",
        "**The prediction that could have failed.**",
        "**Outcome.**",
        "**Rule, written before the run.**",
    ]
    places = [page.find(each) for each in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "${" not in page  # numbers of the config stand in its texts
    picture = f"figures/decisive_{name}.png"
    assert picture in page
    assert (sweep / picture).stat().st_size > 10_000
    assert "Outcome:" in done.stdout + done.stderr
