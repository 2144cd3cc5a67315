"""Every numeric setting refuses what is out of its range, when its dataclass is made."""

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from fbn_exp.analysis.config import ConsistencyConfig
from fbn_exp.benchmarks.config import GenerationConfig, PerplexityConfig
from fbn_exp.benchmarks.harness.config import HarnessConfig, ProbesConfig
from fbn_exp.config.prune import PruneConfig
from fbn_exp.config.register import OWN_SCHEMAS, SCHEMAS
from fbn_exp.config.root import EvaluateConfig, ExploreConfig, ExtractConfig, TrainConfig
from fbn_exp.core.errors import ConfigError, FbnError
from fbn_exp.datasets.config import EmbeddedDatasetConfig
from fbn_exp.experiments.decisive.config import (
    DecisiveConfig,
    ICAClaimConfig,
    PreservationConfig,
    ShareConfig,
    SinkConfig,
)
from fbn_exp.interventions.config import AmplifyConfig, NoInterventionConfig, ScaleConfig, ShiftConfig
from fbn_exp.launch.config import RayConfig
from fbn_exp.methods.config import ICAConfig
from fbn_exp.methods.localizer.config import Contrast
from fbn_exp.models.config import ModelConfig
from fbn_exp.reliability.config import IcassoConfig, NoReliabilityConfig
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.thresholds.config import ZThresholdConfig
from fbn_exp.tracking.config import NoTrackingConfig
from fbn_exp.training.config import LanguageModelingTaskConfig, TrainAllConfig

ROOTS = (ExtractConfig, EvaluateConfig, TrainConfig, PruneConfig, ExploreConfig)
HUGE = 2**70
NOWHERE = (math.nan, math.inf, -math.inf)
# a number of things, a rate or a share that may be 0; seeds too
MAY_BE_ZERO = {
    "analysis.minimum_iou",
    "benchmark.num_fewshot",
    "benchmark.probe_texts",
    "figures.context_tokens",
    "figures.max_networks",
    "figures.strongest_tokens",
    "intervention.least_energy",
    "launch.gpus_per_node",
    "launch.machine_rank",
    "launch.main_process_port",
    "launch.num_cpus",
    "launch.num_gpus",
    "method.auxiliary",
    "method.held_out",
    "prune.ratio",
    "prune.spared_first",
    "prune.spared_last",
    "prune.speed_pairs",
    "signals.first_tokens_excluded",
    "trainable.dropout",
    "trainer.warmup_steps",
    "trainer.weight_decay",
}
DECISIVE = {
    DecisiveConfig: {"equivalent": 0.5},
    SinkConfig: {
        "equivalent": 0.5,
        "lesion": "all/zero/all",
        "claim": "all/zero/all",
        "remedies": ["all/zero/first_spared"],
    },
    ICAClaimConfig: {"equivalent": 0.05},
    PreservationConfig: {"equivalent": 0.1, "components": 512, "setting": "all/zero/512"},
    ShareConfig: {"equivalent": 0.1},
}


def valid(kind: type, folder: Path) -> dict[str, Any]:
    """Values of the fields that a dataclass needs; the folder holds networks and ``a.txt``."""
    dataset = EmbeddedDatasetConfig(corpus="wiki")
    values = {
        "corpus": "wiki",
        "conditions": {"one": dataset},
        "contrasts": {"one": Contrast(["a"], ["b"])},
        "dataset": dataset,
        "path": "wiki",
        "hub_split": {"train": "train"},
        "paths": [str(folder / "a.txt")],
        "tasks": ["grammar"],
        "prompt": "{text}",
        "prompts": ["a text"],
        "other": str(folder),
        "model": ModelConfig(name="gpt2"),
        "signals": SignalsConfig(),
        "method": ICAConfig(),
        "reliability": NoReliabilityConfig(),
        "threshold": ZThresholdConfig(),
        "tracking": NoTrackingConfig(),
        "intervention": NoInterventionConfig(),
        "benchmark": PerplexityConfig(dataset=dataset),
        "task": LanguageModelingTaskConfig(),
        "trainable": TrainAllConfig(),
    }
    if kind is ModelConfig:
        return {"name": "gpt2"}
    if issubclass(kind, DecisiveConfig):
        return DECISIVE[kind]
    if kind is ExploreConfig:
        return {"networks": str(folder), "threshold": values["threshold"]}
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


def kinds_in(hint: Any) -> Iterator[type]:
    """Types that a type is made of: an Optional's, or the type itself."""
    if isinstance(hint, UnionType):
        yield from (kind for kind in get_args(hint) if kind is not type(None))
    elif get_origin(hint) is None:
        yield hint


def groups() -> dict[type, str]:
    """Base dataclass of every group of settings, and the group's name on the command line."""
    return {
        kind: name
        for root in ROOTS
        for name, hint in get_type_hints(root).items()
        for kind in kinds_in(hint)
        if is_dataclass(kind)
    }


def dataclasses_and_groups() -> dict[type, str]:
    """All dataclasses of settings, with the start of their settings' names."""
    # in one order in every process, or workers would not agree on the tests
    schemas = dict.fromkeys([*SCHEMAS.values(), *OWN_SCHEMAS.values(), *groups()])
    found = dict.fromkeys(ROOTS, "")
    for base, name in groups().items():
        found |= {kind: f"{name}." for kind in schemas if issubclass(kind, base)}
    assert found.keys() == schemas.keys()
    return found


def numbers() -> Iterator[tuple[type, str, str, type]]:
    """Every numeric field: its dataclass, name, name on the command line and type."""
    for kind, group in dataclasses_and_groups().items():
        for name, hint in get_type_hints(kind).items():
            for number in kinds_in(hint):
                if number in (int, float):
                    yield kind, name, group + name, number


def attacks() -> Iterator[Any]:
    for kind, name, full, number in sorted(numbers(), key=lambda entry: (entry[2], entry[0].__name__)):
        for value in (*NOWHERE, -1, 0, HUGE if number is int else 1e308):
            yield pytest.param(kind, name, full, value, id=f"{kind.__name__}-{full}={value:.4g}")


@pytest.fixture
def made(tmp_path):
    """Make a dataclass from valid settings and the given ones."""
    (tmp_path / "networks.json").write_text("{}")
    (tmp_path / "a.txt").write_text("a text")
    return lambda kind, **settings: kind(**valid(kind, tmp_path) | settings)


def test_the_walk_meets_every_kind_of_number():
    found = {full for _, _, full, _ in numbers()}
    some = {"seed", "dataset.n_texts", "trainer.epochs", "controls.share", "figures.dpi", "launch.num_gpus"}
    assert (MAY_BE_ZERO | some) <= found
    assert len(found) > 60


@pytest.mark.parametrize("kind", dataclasses_and_groups(), ids=lambda kind: kind.__name__)
def test_a_dataclass_is_made_from_the_valid_settings_of_this_test(kind, made):
    assert isinstance(made(kind), kind)


@pytest.mark.parametrize(("kind", "name", "full", "value"), attacks())
def test_a_number_out_of_range_is_refused_by_name(kind, name, full, value, made):
    if value == 0 and (name == "seed" or full in MAY_BE_ZERO):
        assert getattr(made(kind, **{name: 0}), name) == 0
        return
    with pytest.raises(ConfigError, match=rf"^{re.escape(full)} is {re.escape(str(value))}, must "):
        made(kind, **{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "full"),
    [
        (ScaleConfig, "factor", "intervention.factor"),
        (AmplifyConfig, "factor", "intervention.factor"),
        (ShiftConfig, "value", "intervention.value"),
        (IcassoConfig, "orders", "reliability.orders"),
        (EvaluateConfig, "factors", "factors"),
    ],
)
@pytest.mark.parametrize("value", [*NOWHERE, 1e308])
@pytest.mark.parametrize("length", [1, 2])
def test_a_wrong_number_in_a_list_is_refused_by_name(kind, name, full, value, length, made):
    with pytest.raises(ConfigError, match=f"^{re.escape(full)} .*{re.escape(str(value))}"):
        made(kind, **{name: [2, value][-length:]})


@pytest.mark.parametrize("value", [*NOWHERE, 1e308, -1, 0, HUGE, 1.5, True, "nan", "-1", "0", "automatic"])
@pytest.mark.parametrize("kind", [HarnessConfig, ProbesConfig])
def test_a_batch_size_of_lm_eval_is_a_whole_number_or_auto(kind, value, made):
    with pytest.raises(ConfigError, match=r"^benchmark\.batch_size is .*, must be at least 1 or auto"):
        made(kind, batch_size=value)


@pytest.mark.parametrize("value", [1, 64, "auto", "auto:4", "8"])
def test_batch_sizes_that_lm_eval_knows_are_accepted(value, made):
    assert made(HarnessConfig, tasks=["a"], batch_size=value).batch_size == value


@pytest.mark.parametrize("value", [-1, HUGE, math.nan, True])
def test_an_index_of_a_network_is_a_whole_number_from_0(value, made):
    with pytest.raises(ConfigError, match=r"^intervention\.networks is \[0, "):
        made(ScaleConfig, networks=[0, value])


@pytest.mark.parametrize("value", [-1, 0, HUGE])
def test_an_order_of_a_model_order_curve_is_a_count(value, made):
    with pytest.raises(ConfigError, match=rf"^reliability\.orders holds {value}, "):
        made(IcassoConfig, orders=[5, value])


@pytest.mark.parametrize(
    ("kind", "name", "most"),
    [
        (EmbeddedDatasetConfig, "seed", 2**32 - 1),
        (ConsistencyConfig, "n_components", 2**31 - 1),
        (GenerationConfig, "batch_size", 2**31 - 1),
    ],
)
def test_the_largest_number_is_accepted_and_the_next_refused(kind, name, most, made):
    assert getattr(made(kind, **{name: most}), name) == most
    with pytest.raises(FbnError, match=f"must be at most {most}$"):
        made(kind, **{name: most + 1})


def test_gpus_of_a_ray_job_are_a_fraction_or_whole():
    assert [RayConfig(num_gpus=number).num_gpus for number in (0.25, 1, 2.0)] == [0.25, 1, 2.0]
    with pytest.raises(ConfigError, match=r"launch\.num_gpus is 1\.5, must be below 1 or a whole number"):
        RayConfig(num_gpus=1.5)
