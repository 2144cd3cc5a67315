"""hparams_search=factor: an optimiser looks for the value of the lowest objective."""

import importlib.util

import pytest
import yaml
from scripts import TINY, finished, result_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None,
        reason="needs hydra-optuna-sweeper: pip install 'fbn_exp[search]'",
    ),
]


def test_the_search_finds_the_trial_of_the_lowest_objective(tmp_path):
    finished(
        "evaluate.py",
        "-m",
        "hparams_search=factor",
        *TINY,
        "tracking=none",
        "benchmark.dataset.n_texts=2",
        "hydra.sweeper.n_trials=3",
        f"hydra.sweep.dir={tmp_path}",
    )
    results = [result_of(tmp_path / str(job)) for job in range(3)]
    found = [result["metrics"]["perplexity_wiki/nats_per_token"] for result in results]
    best = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert best["best_value"] == pytest.approx(min(found))
    assert 0.5 <= best["best_params"]["intervention.factor"] <= 2
