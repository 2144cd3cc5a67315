"""What a model can do before and after training, on the task that it was trained for and on others."""

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.comparison import OTHER, TRAINED, Comparison, compare
from fbn_exp.benchmarks.evaluator import Scorer
from fbn_exp.benchmarks.score import Score
from fbn_exp.core import ranks
from fbn_exp.core.errors import TrainingError
from fbn_exp.core.layout import Site
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.datasets.base import Texts
from fbn_exp.interventions.edit import no_edit
from fbn_exp.models.load import LanguageModel

log = logging.getLogger(__name__)


class Memory:
    """Scores of a model before it is trained, to compare with those after.

    A language model that becomes a classifier is still scored as a language model: its own output layer on
    the trained body.

    Parameters
    ----------
    benchmarks : mapping of str to Benchmark
        By the name under ``forgetting``.
    trainable : str
        What is trained, for the table.
    """

    def __init__(self, benchmarks: Mapping[str, Benchmark], trainable: str) -> None:
        self.benchmarks = benchmarks
        self.trainable = trainable
        self.before: list[Score] = []

    def score_before(self, lm: LanguageModel, site: Site, cache: Path) -> None:
        """Score the model as it was loaded; on every rank, which divide the items.

        Parameters
        ----------
        lm : LanguageModel
            As loaded.
        site : Site
            Any that the model has; scores without an edit do not depend on it.
        cache : Path
            Where scores are kept.
        """
        layout = lm.layout(site)
        for name, benchmark in self.benchmarks.items():
            log.info("before training: %s", name)
            benchmark.prepare(lm)
            scorer = Scorer(lm, layout, benchmark, ScoreCache(cache / "scores"))
            own = {"lm": lm, "benchmark": benchmark}
            self.before += (
                ranks.run_on_leader(functools.partial(scorer.scores, no_edit(layout.n_neurons)), own.get)
                or []
            )

    def require_unseen(self, learnt: Texts) -> None:
        """Nothing that is scored may be learnt.

        Raises
        ------
        TrainingError
            If a text is on both sides.
        """
        for name, benchmark in self.benchmarks.items():
            if shared := learnt.text_digests & (benchmark.text_digests() or frozenset()):
                raise TrainingError(
                    f"{len(shared)} texts of forgetting.{name} are among those that are trained on: take its "
                    f"test part, forgetting.{name}.dataset.split=test"
                )

    def compared(
        self, lm: LanguageModel, before: Sequence[Score], after: Sequence[Score], folder: RunFolder
    ) -> pd.DataFrame:
        """Table of all scores after training beside those before; written to the run folder.

        Parameters
        ----------
        lm : LanguageModel
            The same, its weights trained.
        before, after : sequence of Score
            On the test part of the task itself.
        folder : RunFolder
            Gets ``tables/forgetting.csv``, and metrics under the names that ``evaluate.py`` uses.
        """
        now: list[Score] = []
        for name, benchmark in self.benchmarks.items():
            log.info("after training: %s", name)
            now += benchmark.score(lm)
        rows = []
        head = {"trainable": self.trainable, "trained_parameters": folder.metrics.get("parameters/trainable")}
        # a benchmark of the task's own name, as math of forgetting=corpora for dataset=math, is no other task
        own = {score.task for score in after}
        others = [each for each in compare(now, self.before, {}) if each.score.task not in own]
        for role, pairs in ((TRAINED, compare(after, before, {})), (OTHER, others)):
            for each in pairs:
                folder.add_metrics(each.metrics())
                rows.append({**head, "role": role, **_row(each)})
        table = pd.DataFrame(rows)
        folder.add_table("forgetting", table)
        return table


def _row(comparison: Comparison) -> dict[str, float | str | None]:
    row = comparison.row()
    names = ("task", "metric", "n", "chance", "higher_is_better")
    return {
        **{name: row[name] for name in names[:2]},
        "before": row["baseline"],
        "after": row["value"],
        **{name: row[name] for name in ("delta", "ci_low", "ci_high", *names[2:])},
    }
