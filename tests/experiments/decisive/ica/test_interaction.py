"""Interaction of directions and tasks on planted changes: found where it is, calibrated where it is not."""

import numpy as np
import pytest

from fbn_exp.experiments.decisive.ica.interaction import (
    cells,
    detectable_above,
    p_above,
    remainder,
    selectivity,
    selectivity_of_draws,
)

TASKS = 7
PROFILE = -np.array([0.1, 0.2, 0.05, 0.3, 0.1, 0.25, 0.15])


def rng(seed=0):
    return np.random.default_rng(seed)


def planted(generator, special=0.0, directions=4, n=60):
    """Items of every task: a general loss of each direction, noise of a spread of its own, and a cell."""
    general = generator.normal(1, 0.5, (directions, 1)) * PROFILE + generator.normal(0, 0.1, (directions, 1))
    general[0, 2] += special
    spread = np.linspace(0.5, 1.5, TASKS)
    return [general[:, [task]] + generator.normal(0, spread[task], (directions, n)) for task in range(TASKS)]


def test_a_general_loss_is_no_interaction():
    general = np.array([[0.3], [-2.0]]) + np.array([[1.5], [0.7]]) * PROFILE
    found = selectivity(general, np.zeros_like(general), PROFILE)
    np.testing.assert_allclose(found.residuals, 0, atol=1e-12)
    np.testing.assert_allclose(found.size, 0, atol=1e-6)


def test_a_profile_that_is_the_same_for_all_tasks_takes_one_dimension():
    assert np.trace(remainder(np.full(TASKS, -0.2))) == pytest.approx(TASKS - 1)
    assert np.trace(remainder(PROFILE)) == pytest.approx(TASKS - 2)


def test_selectivity_is_what_is_left_of_a_planted_cell():
    change = PROFILE.copy()
    change[2] -= 0.5
    found = selectivity(change[None], np.zeros((1, TASKS)), PROFILE)
    alone = remainder(PROFILE)[2] * -0.5
    assert found.size[0] == pytest.approx(np.sqrt((alone**2).mean()))
    assert np.abs(found.residuals[0]).argmax() == 2
    assert 0 < found.share[0] < 1


def test_noise_of_items_adds_nothing_on_average():
    generator, errors = rng(), np.full((4000, TASKS), 0.1)
    noise = generator.normal(0, errors)
    found = selectivity(noise + PROFILE, errors, PROFILE)
    squared = (found.residuals**2).mean(axis=1) - (found.errors**2).mean(axis=1)
    assert abs(squared.mean()) < 3 * squared.std() / np.sqrt(len(squared))


def test_the_profile_of_a_draw_is_that_of_the_others():
    generator = rng()
    changes, errors = generator.normal(size=(5, TASKS)), np.zeros((5, TASKS))
    found = selectivity_of_draws(changes, errors)
    alone = selectivity(changes[[3]], errors[[3]], changes[[0, 1, 2, 4]].mean(axis=0))
    np.testing.assert_allclose(found.residuals[3], alone.residuals[0])


def test_directions_that_are_like_rotations_pass_as_often_as_the_level_says():
    def of_one(seed):
        generator = rng(seed)
        changes = PROFILE + generator.normal(0, 0.1, (49, TASKS))
        errors = np.full((49, TASKS), 0.03)
        changes += generator.normal(0, errors)
        own, turned = changes[:10], changes[10:]
        mine = selectivity(own, errors[:10], turned.mean(axis=0))
        theirs = selectivity_of_draws(turned, errors[10:])
        return p_above(mine.size, theirs.size, 99, generator)

    p_values = np.array([of_one(seed) for seed in range(400)])
    # three standard errors of a share of .05
    assert abs((p_values <= 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 400)


def test_selective_directions_stand_out_from_rotations():
    generator = rng(1)
    changes = PROFILE + generator.normal(0, 0.1, (49, TASKS))
    changes[np.arange(10), generator.integers(0, TASKS, 10)] -= 0.5
    errors = np.full((49, TASKS), 0.03)
    mine = selectivity(changes[:10], errors[:10], changes[10:].mean(axis=0))
    theirs = selectivity_of_draws(changes[10:], errors[10:])
    assert p_above(mine.size, theirs.size, 999, generator) < 0.01
    assert detectable_above(mine.size, theirs.size, 0.05) < mine.size.mean() - theirs.size.mean()


def test_cells_are_found_where_they_are_and_nowhere_else():
    found = cells(planted(rng(), special=-1.0, n=200), PROFILE, 0.05, 199, rng())
    assert found.p_corrected[0, 2] <= 0.05
    assert (found.p_corrected[1:] > 0.05).all()


def test_without_an_interaction_any_cell_is_named_in_one_of_twenty_data_sets():
    named = [
        (cells(planted(rng(seed), n=30), PROFILE, 0.05, 59, rng(seed)).p_corrected <= 0.05).any()
        for seed in range(200)
    ]
    assert abs(np.mean(named) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 200) + 0.01


def test_permuted_labels_name_a_cell_in_one_of_twenty_cases():
    # with a large interaction in the data, too
    found = cells(planted(rng(), special=-1.0), PROFILE, 0.05, 999, rng())
    assert abs(found.false_alarms - 0.05) < 0.03


def test_values_that_are_not_known_are_left_out():
    assert np.isnan(p_above(np.array([np.nan]), np.array([1.0]), 99, rng()))
    assert p_above(np.array([5.0, np.nan]), np.arange(4.0), 999, rng()) == pytest.approx(0.2, abs=0.05)
