"""What a rank other than 0 has of its own, to help rank 0 with."""

import functools
from collections.abc import Callable
from typing import Any

from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.datasets.config import Split
from fbn_exp.models.load import load
from fbn_exp.stages.build import Parts


def rank_resources(parts: Parts, benchmark: Benchmark | None = None) -> Callable[[str], Any]:
    """Give the model as ``lm``, and the prepared benchmark as ``benchmark`` or ``benchmark/<part>``."""

    @functools.cache
    def own(name: str) -> Any:
        if name == "lm":
            return load(parts.model, parts.cache)
        assert benchmark is not None
        _, _, part = name.partition("/")
        mine = benchmark.on(Split(part)) if part else benchmark
        mine.prepare(own("lm"))
        return mine

    return own
