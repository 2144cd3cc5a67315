"""A sweep's jobs are composed once: what Hydra has checked is what it runs."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from fbn_exp.stages.scripts import compose


@pytest.fixture
def loader(monkeypatch):
    composed = []

    def load(loader, master, overrides):
        if "bad" in overrides:
            raise ValueError("bad")
        composed.append(tuple(overrides))
        return OmegaConf.create({"job": list(overrides)})

    monkeypatch.setattr(compose, "_load", load)
    monkeypatch.setattr(compose, "_checked", {})

    class Loader:
        def load_sweep_config(self, master_config, sweep_overrides):
            return compose._loaded(self, master_config, sweep_overrides)

    loader = Loader()
    loader.composed = composed
    return loader


def checked(loader, batch):
    context = SimpleNamespace(config_loader=loader)
    compose._checked_batch(SimpleNamespace(hydra_context=context, config=OmegaConf.create({})), batch)


def test_jobs_run_the_configs_that_were_checked(loader):
    checked(loader, [["a=1"], ["a=2"]])
    found = [loader.load_sweep_config(None, [f"a={value}"]).job for value in (1, 2)]
    assert found == [["a=1"], ["a=2"]]
    assert loader.composed == [("a=1",), ("a=2",)]


def test_a_config_is_run_by_one_job_only(loader):
    checked(loader, [["a=1"]])
    first, second = (loader.load_sweep_config(None, ["a=1"]) for _ in range(2))
    assert first is not second
    assert len(loader.composed) == 2


def test_nothing_of_an_earlier_sweep_is_run(loader):
    checked(loader, [["a=1"]])
    with pytest.raises(ValueError, match="bad"):
        checked(loader, [["bad"]])
    loader.load_sweep_config(None, ["a=1"])
    assert loader.composed == [("a=1",), ("a=1",)]


def test_long_sweeps_keep_few_configs(loader, monkeypatch):
    monkeypatch.setattr(compose, "MOST_KEPT", 2)
    checked(loader, [[f"a={value}"] for value in range(5)])
    for value in range(5):
        assert loader.load_sweep_config(None, [f"a={value}"]).job == [f"a={value}"]
    assert len(loader.composed) == 8
