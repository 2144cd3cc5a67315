"""What a model can do before and after training, on the task that it was trained for and on others."""

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.comparison import BeforeAfter, compare
from fbn_exp.benchmarks.evaluator import Scorer
from fbn_exp.benchmarks.score import Score
from fbn_exp.core import ranks
from fbn_exp.core.errors import TrainingError
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import Texts
from fbn_exp.interventions.edit import no_edit
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)

Benchmarks = Mapping[str, Benchmark]
"""What may be forgotten, by the name under ``forgetting``."""


def scores_before(benchmarks: Benchmarks, lm: LanguageModel, site: Site, cache: Path) -> list[Score]:
    """Score a model as it was loaded; on every rank, which divide the items.

    A language model that becomes a classifier is still scored as a language model: its own output layer on
    the trained body.

    Parameters
    ----------
    benchmarks : mapping of str to Benchmark
        Not yet prepared.
    lm : LanguageModel
        As loaded.
    site : Site
        Any that the model has; scores without an edit do not depend on it.
    cache : Path
        Where scores are kept.

    Returns
    -------
    list of Score
        Empty on every rank but 0.
    """
    layout = lm.layout(site)
    before: list[Score] = []
    for name, benchmark in benchmarks.items():
        log.info("before training: %s", name)
        benchmark.prepare(lm)
        scorer = Scorer(lm, layout, benchmark, ScoreCache(cache / "scores"))
        own = {"lm": lm, "benchmark": benchmark}
        before += (
            ranks.run_on_leader(functools.partial(scorer.scores, no_edit(layout.n_neurons)), own.get) or []
        )
    return before


def require_unseen(benchmarks: Benchmarks, learnt: Texts) -> None:
    """Nothing that is scored may be learnt.

    Raises
    ------
    TrainingError
        If a text is on both sides.
    """
    for name, benchmark in benchmarks.items():
        if shared := learnt.text_digests & (benchmark.text_digests() or frozenset()):
            raise TrainingError(
                f"{len(shared)} texts of forgetting.{name} are among those that are trained on: take its "
                f"test part, forgetting.{name}.dataset.split=test"
            )


def compare_after(
    benchmarks: Benchmarks,
    lm: LanguageModel,
    others_before: Sequence[Score],
    before: Sequence[Score],
    after: Sequence[Score],
) -> BeforeAfter:
    """Score a trained model, and compare it with what it was.

    Parameters
    ----------
    benchmarks : mapping of str to Benchmark
        Prepared.
    lm : LanguageModel
        Its weights trained.
    others_before : sequence of Score
        As ``scores_before`` gave them.
    before, after : sequence of Score
        On the test part of the task itself.
    """
    others: list[Score] = []
    for name, benchmark in benchmarks.items():
        log.info("after training: %s", name)
        others += benchmark.score(lm)
    # a benchmark of the task's own name, as math of forgetting=corpora for dataset=math, is no other task
    own = {score.task for score in after}
    compared = [each for each in compare(others, others_before, {}) if each.score.task not in own]
    return BeforeAfter(compare(after, before, {}), compared)
