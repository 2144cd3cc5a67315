"""Choose the factor of an intervention on dev items, for the networks and for every control alike."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fbn_exp.benchmarks.comparison import compare
from fbn_exp.benchmarks.evaluator import Controls, Evaluation, Scorer, by_kind
from fbn_exp.benchmarks.score import Score
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.edit import Edit, no_edit
from fbn_exp.interventions.rules import Intervention
from fbn_exp.interventions.target import Target

Subject = Callable[[Intervention], Edit]
"""What an intervention acts on, networks or a control: gives the edit."""


def select_factors(
    dev: Scorer, intervention: Intervention, factors: Sequence[float], subjects: Sequence[Subject]
) -> list[dict[str, float]]:
    """Select the best factor for each task and metric on the dev part of a benchmark, for each subject.

    Parameters
    ----------
    dev : Scorer
        Scorer on the dev part.
    intervention : Intervention
        Intervention with a field ``factor``.
    factors : sequence of float
        Factors to try.
    subjects : sequence of callable
        What is edited: each gives its edit for an intervention.

    Returns
    -------
    list of dict of str to float
        Factors of each subject by ``<task>/<metric>``, named as on the dev part; among equally good ones that
        nearest to 1.
    """
    gentle_first = sorted(set(factors), key=lambda factor: abs(factor - 1))
    dev.announce(len(gentle_first) * len(subjects))
    lesions = [intervention.with_factor(factor) for factor in gentle_first]
    scores = iter(dev.scores_under([partial(one, each) for one in subjects for each in lesions]))
    return [_best({factor: next(scores) for factor in gentle_first}) for _ in subjects]


def _best(scores: Mapping[float, Sequence[Score]]) -> dict[str, float]:
    """First factor with the best score, by name of the score."""
    best: dict[str, tuple[float, float]] = {}
    for factor, of_factor in scores.items():
        for score in of_factor:
            gain = score.value if score.higher_is_better else -score.value
            if score.name not in best or gain > best[score.name][0]:
                best[score.name] = (gain, factor)
    return {name: factor for name, (_, factor) in best.items()}


def evaluate_selected(
    scorer: Scorer, intervention: Intervention, factors: Sequence[float], target: Target, controls: Controls
) -> Evaluation:
    """Choose a factor for each task on the dev part, and compare scores at the chosen factors only.

    Every draw of controls chooses its own factors in the same way, so that the networks have no advantage
    from the choice.

    Raises
    ------
    BenchmarkError
        If the benchmark has no dev part.
    """
    on_dev = scorer.benchmark.on(Split.dev)
    on_dev.prepare(scorer.lm)
    dev = Scorer(scorer.lm, scorer.layout, on_dev, scorer.cache, Split.dev)
    drawn = [one for draws in controls.values() for one in draws]
    subjects: list[Subject] = [lambda each: each.edit(target), *(one.edit for one in drawn)]
    best = select_factors(dev, intervention, factors, subjects)
    chosen = [{scorer.benchmark.name_on_test(name): at for name, at in each.items()} for each in best]
    baseline, (own, *others) = _scores_at(scorer, intervention, subjects, chosen)
    compared = compare(own, baseline, by_kind(controls, others))
    scored = {comparison.score.name: chosen[0][comparison.score.name] for comparison in compared}
    of_controls = by_kind(controls, chosen[1:])
    return Evaluation(compared, intervention, target, controls, scored, len(set(factors)), of_controls)


def _scores_at(
    scorer: Scorer,
    intervention: Intervention,
    subjects: Sequence[Subject],
    chosen: Sequence[Mapping[str, float]],
) -> tuple[list[Score], list[list[Score]]]:
    """Scores of the untouched model, and of each subject with each score at its own chosen factor."""
    wanted = [(place, at) for place, best in enumerate(chosen) for at in dict.fromkeys(best.values())]
    scorer.announce(1 + len(wanted))
    edits = [partial(subjects[place], intervention.with_factor(at)) for place, at in wanted]
    baseline, *scores = scorer.scores_under([partial(no_edit, scorer.layout.n_neurons), *edits])
    picked: list[list[Score]] = [[] for _ in subjects]
    for (place, at), of_edit in zip(wanted, scores, strict=True):
        picked[place] += [score for score in of_edit if chosen[place].get(score.name) == at]
    return baseline, picked
