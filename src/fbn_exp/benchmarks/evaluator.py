"""Score a model under interventions, every edit once, and compare the scores with controls."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from tqdm import tqdm

from fbn_exp.benchmarks.base import Benchmark, Progress
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.comparison import Comparison, compare
from fbn_exp.benchmarks.score import Score
from fbn_exp.benchmarks.sizes import EditSizes, SizeMeasure, edit_sizes
from fbn_exp.core import ranks
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.files import digest
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.package_file import version
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.control import Control
from fbn_exp.interventions.edit import Edit, no_edit
from fbn_exp.interventions.rules import Intervention, NoIntervention
from fbn_exp.interventions.target import Target
from fbn_exp.models.hooks import is_edited
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)

BAR: dict[str, Any] = {"unit": " edits", "mininterval": 0.5}

# an estimate is corrected if it is off by this factor, and seconds that are left are worth a line
OFF = 4 / 3
WORTH_SAYING = 30

V = TypeVar("V")
Controls = Mapping[ControlKind, Sequence[Control]]


@dataclass
class _Durations:
    """Scorings of a benchmark so far, and the seconds that they took."""

    scorings: int = 0
    seconds: float = 0.0

    def add(self, scorings: int, seconds: float) -> None:
        self.scorings += scorings
        self.seconds += seconds

    @property
    def mean(self) -> float:
        return max(1e-9, self.seconds / self.scorings)


_durations: WeakKeyDictionary[LanguageModel, dict[str, _Durations]] = WeakKeyDictionary()
"""Durations in this process, by model and digest of the benchmark: jobs of a sweep know those before them."""


@dataclass(frozen=True)
class Evaluation:
    """Effect of an intervention on scores, compared with the untouched model and controls.

    Attributes
    ----------
    comparisons : list of Comparison
        One per task and metric.
    intervention : Intervention
        Intervention with its configured factor.
    target : Target
        Neurons that it acted on.
    controls : mapping of ControlKind to sequence of Control
        Neurons of each draw of controls.
    factors : dict of str to float
        Factor chosen on the dev part, by ``<task>/<metric>``; empty where no factor was chosen.
    n_factors : int
        Number of factors tried on the dev part.
    control_factors : mapping of ControlKind to sequence of mapping of str to float
        Factors that each draw of controls chose in the same way.
    sizes : mapping of str to EditSizes
        Energy of the edit and of its controls, by ``<task>/<metric>``, since each can have a factor of its
        own; empty if not measured.
    """

    comparisons: list[Comparison]
    intervention: Intervention
    target: Target
    controls: Controls
    factors: dict[str, float] = field(default_factory=dict)
    n_factors: int = 0
    control_factors: Mapping[ControlKind, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    sizes: Mapping[str, EditSizes] = field(default_factory=dict)

    def with_sizes(self, measure: SizeMeasure) -> "Evaluation":
        """Copy with the sizes of the edits, at the factors that were chosen."""
        if isinstance(self.intervention, NoIntervention):
            return self
        sized = cache(partial(self._sizes_at, measure))
        names = [each.score.name for each in self.comparisons]
        return replace(self, sizes={name: sized(self._chosen(name)) for name in names})

    def _chosen(self, name: str) -> tuple[float, ...] | None:
        """Factors that were chosen for a score, by the networks and then by each draw; None for none."""
        if not self.factors:
            return None
        draws = [each[name] for kind in self.controls for each in self.control_factors[kind]]
        return self.factors[name], *draws

    def _sizes_at(self, measure: SizeMeasure, chosen: tuple[float, ...] | None) -> EditSizes:
        about = (measure, self.intervention, self.target, self.controls)
        if chosen is None:
            return edit_sizes(*about)
        return edit_sizes(*about, chosen[0], by_kind(self.controls, chosen[1:]))


@dataclass(frozen=True)
class Scorer:
    """Score one model on one benchmark.

    Attributes
    ----------
    lm : LanguageModel
        Model, without interventions between scorings.
    layout : NeuronLayout
        Layout of the neurons that edits change.
    benchmark : Benchmark
        Benchmark, prepared for this model.
    cache : ScoreCache
        Scores of earlier runs.
    part : Split or None
        Part of the items, if the benchmark is not on the configured one.
    """

    lm: LanguageModel
    layout: NeuronLayout
    benchmark: Benchmark
    cache: ScoreCache
    part: Split | None = None

    def scores(self, edit: Edit) -> list[Score]:
        """Score the model under an edit, or take the scores from the cache; see ``scores_of``."""
        (scores,) = self.scores_of([edit])
        return scores

    def scores_of(self, edits: Sequence[Edit]) -> list[list[Score]]:
        """Score the model under edits, or take the scores from the cache; see ``scores_under``."""
        return self.scores_under([partial(_itself, edit) for edit in edits])

    def scores_under(self, edits: Sequence[Callable[[], Edit]]) -> list[list[Score]]:
        """Score the model under edits, or take the scores from the cache; equal edits are scored once.

        Edits are scored as many at once as the benchmark takes, and kept when these are done: a run that is
        interrupted goes on with the others.

        Parameters
        ----------
        edits : sequence of callable
            Functions that make an edit, the same at every call: hundreds of edits of a large model are not in
            memory at once.

        Raises
        ------
        BenchmarkError
            If an intervention is active on the model: its scores would be kept as those of the weights.
        """
        if is_edited(self.lm.model):
            raise BenchmarkError("an intervention is active on the model: leave its context before scoring")
        keys = [self._key(make()) for make in edits]
        names = [digest(key) for key in keys]
        different = {name: place for place, name in enumerate(names)}
        # entries that are there are read one by one; a damaged one is scored by itself
        missing = [place for place in different.values() if not self.cache.holds(keys[place])]
        at_once = self.benchmark.edits_together(self.lm)
        chunks = [[place] for place in different.values() if place not in missing]
        chunks += [missing[start : start + at_once] for start in range(0, len(missing), at_once)]
        known: dict[str, list[Score]] = {}
        done, expected = 0, self.seconds_per_scoring()
        # a setting of tqdm in the environment holds where nothing is passed
        silent: dict[str, Any] = {"disable": True} if len(missing) < 2 else {}
        with tqdm(total=len(missing), desc="scoring", leave=False, **silent, **BAR) as bar:
            for chunk in chunks:
                compute = partial(self._compute, [edits[place] for place in chunk], Progress(bar))
                scores = self.cache.scores_of([keys[place] for place in chunk], compute)
                known |= zip((names[place] for place in chunk), scores, strict=True)
                done += len(chunk)
                expected = self._corrected(expected, len(different) - done)
        return [known[name] for name in names]

    def _key(self, edit: Edit) -> dict[str, Any]:
        touched = bool(edit.touched.any())
        return {
            "weights": self.lm.weight_digest,
            "dtype": self.lm.dtype,
            "benchmark": self.benchmark.key(),
            # the untouched model is the same whatever the site
            "edit": edit.digest if touched else None,
            "layout": self.layout.to_dict() if touched else None,
            "version": version(),
        }

    def _compute(
        self, edits: Sequence[Callable[[], Edit]], progress: Progress, chosen: Sequence[int]
    ) -> list[list[Score]]:
        name = "benchmark" if self.part is None else f"benchmark/{self.part.value}"
        resources = {"lm": ranks.Own("lm", self.lm), "benchmark": ranks.Own(name, self.benchmark)}
        made = [edits[place]() for place in chosen]
        started = time.perf_counter()
        scores = ranks.together(score_under, resources, self.layout, made, progress)
        self._durations.add(len(made), time.perf_counter() - started)
        return scores

    @property
    def _durations(self) -> "_Durations":
        return _durations.setdefault(self.lm, {}).setdefault(digest(self.benchmark.key()), _Durations())

    def seconds_per_scoring(self) -> float | None:
        """Duration of a scoring: of those so far in this process, else by a short pass; None if unknown."""
        if self._durations.scorings:
            return self._durations.mean
        tokens = self.benchmark.forward_tokens()
        return None if tokens is None else tokens / self.lm.forward_rate()

    def _corrected(self, expected: float | None, left: int) -> float | None:
        """Duration of a scoring to expect; logged where it makes a difference to those that are left."""
        # the first one also warms up
        if self._durations.scorings < 2:
            return expected
        found = self._durations.mean
        if expected is not None and max(found / expected, expected / found) <= OFF:
            return expected
        if left * found > WORTH_SAYING:
            log.info("%s scorings left: about %s s, by those so far", f"{left:,}", f"{left * found:,.0f}")
        return found

    def announce(self, runs: int) -> None:
        """Log the number of scorings, and about how long they will take."""
        log.info("%s", self.cost(runs))

    def cost(self, runs: int) -> str:
        """Describe a number of scorings, and about how long they will take."""
        seconds, tokens = self.seconds_per_scoring(), self.benchmark.forward_tokens()
        what = f"{runs:,} scorings" + (" (model untouched, intervened, controls)" if tokens is None else "")
        if tokens is not None:
            what += f" × {tokens:,} tokens"
        return what if seconds is None else f"{what}: about {runs * seconds:,.0f} s, less what is cached"

    def compare(self, intervention: Intervention, target: Target, controls: Controls) -> list[Comparison]:
        """Compare scores under an intervention with the baseline, and with those of controls, in one go."""
        started = time.perf_counter()
        untouched = partial(no_edit, self.layout.n_neurons)
        if isinstance(intervention, NoIntervention):
            baseline = self.scores(untouched())
            return compare(baseline, baseline, {})
        edits: list[Callable[[], Edit]] = [untouched, partial(intervention.edit, target)]
        edits += [partial(one.edit, intervention) for drawn in controls.values() for one in drawn]
        baseline, own, *others = self.scores_under(edits)
        seconds = time.perf_counter() - started
        log.info("%d scorings in %.1f s, %d from the cache", self.cache.misses, seconds, self.cache.hits)
        return compare(own, baseline, by_kind(controls, others))


def by_kind(controls: Controls, values: Iterable[V]) -> dict[ControlKind, list[V]]:
    """Sort values of all draws, in the order of the controls, by kind."""
    in_turn = iter(values)
    return {kind: [next(in_turn) for _ in drawn] for kind, drawn in controls.items()}


def _itself(edit: Edit) -> Edit:
    return edit


def score_under(
    layout: NeuronLayout, edits: Sequence[Edit], progress: Progress, lm: LanguageModel, benchmark: Benchmark
) -> list[list[Score]]:
    """Score a model under edits; where there are several ranks, every rank scores its share of items."""
    return benchmark.score_many(lm, layout, edits, progress)


def evaluate(scorer: Scorer, intervention: Intervention, target: Target, controls: Controls) -> Evaluation:
    """Score a model with an intervention, without it, and with the intervention on controls."""
    scorer.announce(2 + sum(map(len, controls.values())) if controls else 1)
    compared = scorer.compare(intervention, target, controls)
    return Evaluation(compared, intervention, target, controls)
