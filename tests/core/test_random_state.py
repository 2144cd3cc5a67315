import random

import numpy as np
import pytest
import torch

from fbn_exp.core.random_state import random_state_kept


def drawn():
    return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def fail_after_drawing():
    with random_state_kept(seed=5):
        seed_all(9)
        drawn()
        raise RuntimeError("stop")


def test_what_is_drawn_or_seeded_inside_changes_nothing_outside_also_after_an_error():
    with random_state_kept():
        seed_all(1)
        expected = drawn()
        seed_all(1)
        with pytest.raises(RuntimeError, match="stop"):
            fail_after_drawing()
        assert drawn() == expected


def test_a_seed_gives_the_same_numbers_of_torch():
    def draw(seed):
        with random_state_kept(seed):
            return float(torch.rand(()))

    assert draw(3) == draw(3) != draw(4)
