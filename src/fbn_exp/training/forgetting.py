"""Scores of a model before and after training, on the task that it was trained on and on others."""

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
"""Benchmarks that measure forgetting, by their name under ``forgetting``."""


def scores_before(benchmarks: Benchmarks, lm: LanguageModel, site: Site, cache: Path) -> list[Score]:
    """Score a model as it was loaded; the items are divided among all ranks.

    A language model that becomes a classifier is scored as a language model both times: after training, with
    its original output layer on the trained body.

    Parameters
    ----------
    benchmarks : mapping of str to Benchmark
        Benchmarks, not yet prepared.
    lm : LanguageModel
        Model as loaded.
    site : Site
        Any site of the model; scores without an edit do not depend on it.
    cache : Path
        Folder in which scores are cached.

    Returns
    -------
    list of Score
        Scores on rank 0, empty on other ranks.
    """
    layout = lm.layout(site)
    before: list[Score] = []
    for name, benchmark in benchmarks.items():
        log.info("before training: %s", name)
        benchmark.prepare(lm)
        scorer = Scorer(lm, layout, benchmark, ScoreCache(cache / "scores"))
        parts = {"lm": lm, "benchmark": benchmark}
        before += (
            ranks.run_on_leader(functools.partial(scorer.scores, no_edit(layout.n_neurons)), parts.get) or []
        )
    return before


def require_unseen(benchmarks: Benchmarks, learnt: Texts) -> None:
    """Refuse benchmarks whose texts are among the training texts.

    Raises
    ------
    TrainingError
        If a benchmark and the training texts share a text.
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
    """Score a trained model and compare it with the model before training.

    Parameters
    ----------
    benchmarks : mapping of str to Benchmark
        Prepared benchmarks.
    lm : LanguageModel
        Model after training.
    others_before : sequence of Score
        Result of ``scores_before``.
    before, after : sequence of Score
        Scores on the test part of the training task.
    """
    others: list[Score] = []
    for name, benchmark in benchmarks.items():
        log.info("after training: %s", name)
        others += benchmark.score(lm)
    # drop a benchmark of the same name as the task, such as math of forgetting=corpora for dataset=math
    tasks = {score.task for score in after}
    compared = [one for one in compare(others, others_before, {}) if one.score.task not in tasks]
    return BeforeAfter(compare(after, before, {}), compared)
