"""Objects that ranks other than 0 load to help rank 0: the model and the benchmark."""

import functools
from collections.abc import Callable
from typing import Any

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.datasets.config import Split
from fbn_exp.models.load import load
from fbn_exp.stages.build import Parts


def rank_resources(parts: Parts, benchmark: Benchmark | None = None) -> Callable[[str], Any]:
    """Return a loader of ``lm``, the model, and ``benchmark`` or ``benchmark/<part>``, prepared."""

    @functools.cache
    def resource(name: str) -> Any:
        if name == "lm":
            return load(parts.model, parts.cache)
        assert benchmark is not None
        _, _, part = name.partition("/")
        mine = benchmark.on(Split(part)) if part else benchmark
        mine.prepare(resource("lm"))
        return mine

    return resource
