"""Config that Hydra's resolvers read, for one job of a sweep at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


@contextmanager
def as_hydra_config(config: DictConfig) -> Iterator[None]:
    """Resolve ``${hydra:…}`` to this job while the context is open."""
    kept = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = kept
