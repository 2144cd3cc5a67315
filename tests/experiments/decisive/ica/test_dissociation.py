import numpy as np
import pytest
from scipy.stats import binom

from fbn_exp.experiments.decisive.ica.dissociation import dissociating, double_dissociations

TASKS = 3


def rng(seed=0):
    return np.random.default_rng(seed)


def right(generator, rates, n=300):
    """Items of each task that are right by chance, at the rates of each direction."""
    return [(generator.random((len(rates), n)) < np.array(rates)[:, [task]]) * 1.0 for task in range(TASKS)]


def untouched(generator, rate=0.9, n=300):
    return [(generator.random(n) < rate) * 1.0 for _ in range(TASKS)]


def count(generator, rates, before=0.9):
    own = right(generator, rates)
    return double_dissociations(own, [], untouched(generator, before), 0.05, 9, generator)


def test_a_double_dissociation_needs_two_tasks_and_both_directions():
    crossed = count(rng(), [[0.4, 0.9, 0.9], [0.9, 0.4, 0.9], [0.9, 0.9, 0.9]])
    assert (crossed.found, crossed.pairs) == (1, 3)
    # one direction that harms everything more dissociates from nothing
    assert count(rng(), [[0.4, 0.4, 0.4], [0.9, 0.9, 0.9]]).found == 0


def test_an_improvement_is_not_the_harm_of_another_direction():
    before = untouched(rng(), 0.5)
    improved, harmed, same = np.ones(300), np.zeros(300), before
    # the first improves task 0 and harms task 1, and the second leaves both as they were
    own = [np.stack([improved, same[0]]), np.stack([harmed, same[1]]), np.stack([same[2], same[2]])]
    assert double_dissociations(own, [], before, 0.05, 9, rng()).found == 0
    # where the second harms task 0 itself, both do
    own[0][1] = 0
    assert double_dissociations(own, [], before, 0.05, 9, rng()).found == 1


def test_levels_are_those_of_binomial_tests_by_hand():
    # 8 items lost to the untouched model and to one another
    one = np.concatenate([np.zeros(8), np.ones(12)])
    tasks = [np.stack([one, np.ones(20)]), np.stack([np.ones(20), one])]
    before = [np.ones(20), np.ones(20)]
    p = binom.sf(7, 8, 0.5)
    assert dissociating(tasks, before, p, p)[0, 1]
    assert not dissociating(tasks, before, p * 0.99, p).any()
    assert not dissociating(tasks, before, p, p * 0.99).any()


@pytest.mark.slow
def test_equal_directions_hardly_ever_dissociate():
    counts = [count(rng(seed), [[0.7, 0.7, 0.7]] * 4).found for seed in range(40)]
    assert np.mean(np.array(counts) > 0) <= 0.05


def test_specialists_dissociate_more_often_than_rotations_and_like_specialists_as_often():
    special = 0.9 - 0.5 * np.eye(TASKS)
    generator = rng()
    own, before = right(generator, special), untouched(generator)
    # each harms every task as much as its specialist: no two of them differ, nor one of them and a specialist
    alike = right(generator, np.full((9, TASKS), 0.4))
    found = double_dissociations(own, alike, before, 0.05, 999, generator)
    assert found.found == 3
    assert found.expected == 0
    assert found.p_value < 0.05
    same = double_dissociations(own, right(generator, np.tile(special, (3, 1))), before, 0.05, 999, generator)
    # of 9 specialists 27 of 36 pairs differ in their task
    assert same.found == 3
    assert same.expected == pytest.approx(3 * 27 / 36)
    assert same.p_value > 0.1


def test_p_is_uniform_or_larger_where_directions_and_rotations_are_alike():
    def p_of(seed):
        generator = rng(seed)
        rates = 0.9 - 0.5 * (generator.random((12, TASKS)) < 0.3)
        values = right(generator, rates, 60)
        own, turned = [each[:5] for each in values], [each[5:] for each in values]
        before = untouched(generator, n=60)
        return double_dissociations(own, turned, before, 0.05, 99, generator).p_value

    p_values = np.array([p_of(seed) for seed in range(200)])
    for level in (0.05, 0.2):
        # three standard errors of a share; ties make p larger, never smaller
        assert (p_values <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 200)
