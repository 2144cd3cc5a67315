"""The README's probe sweep, smaller: packed beside lm-eval's rows in time, items per second, and scores.

python perf/probe_sweep.py [items [override …]]
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from measure import CACHE, ROOT, Cost, Row, ratio, save, timed
from sweep import script, timing

FACTORS = "0,0.5,0.9,1.1,1.5"
# columns of a sweep's table that differ between runs of the same sweep
OF_SCORES = ("value", "baseline", "delta")


@contextmanager
def counted(scorings: list[Cost]) -> Iterator[None]:
    """Collect the cost of every scoring while the context is open."""
    from fbn_exp.benchmarks.probes.battery import Probes

    with patch.object(Probes, "score", timing(scorings, Probes.score)):
        yield


def scores_of(folder: Path) -> pd.DataFrame:
    """Scores of all jobs, by job, task and metric."""
    table = pd.read_csv(folder / "sweep" / "scores.csv")
    return table.set_index(["job", "task", "metric"]).sort_index()[list(OF_SCORES)]


def measured(items: int, dtype: str, overrides: list[str]) -> Row:
    """Run the sweep in both ways, in one number format."""
    costs: dict[bool, list[Cost]] = {True: [], False: []}
    scorings: dict[bool, list[Cost]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = folder / "cache"
        cache.mkdir()
        if (CACHE / "models").is_dir():  # converting the model's file is not part of a sweep
            (cache / "models").symlink_to((CACHE / "models").resolve())
        shared = (
            f"cache={cache}",
            "tracking=none",
            "dataset.n_texts=8",
            f"model.dtype={dtype}",
            *overrides,
        )
        script("extract.py", *shared, f"hydra.run.dir={folder}/extract")
        for packed in costs:
            sweep = (
                "evaluate.py",
                "-m",
                *shared,
                f"networks={folder}/extract/networks",
                "benchmark=probes",
                f"benchmark.limit={items}",
                f"benchmark.packed={str(packed).lower()}",
                "intervention=scale",
                "intervention.networks=[0]",
                f"intervention.factor={FACTORS}",
                "controls.kinds=[random]",
                "controls.repeats=1",
                f"hydra.sweep.dir={folder}/{packed}",
            )
            with counted(scorings[packed]), timed(costs[packed]):
                script(*sweep)
        found = {packed: scores_of(folder / str(packed)) for packed in costs}
    off = (found[True] - found[False]).abs()
    alike = int((np.nan_to_num(off.to_numpy()) == 0).all(axis=1).sum())
    n_scorings = len(scorings[True])
    rates = {packed: 7 * items * n_scorings / costs[packed][0].wall for packed in costs}
    what = f"probe sweep of {len(FACTORS.split(','))} jobs, {items} items of each probe, dtype {dtype}"
    return Row(
        f"{what}: lm-eval's rows over packed",
        f"{ratio(costs[False], costs[True])}; packed {rates[True]:.3g} items/s, {costs[True][0].wall:.0f} s, "
        f"lm-eval's {rates[False]:.3g} items/s, {costs[False][0].wall:.0f} s",
        "≥ 1.8",
        f"{alike} of {len(off)} accuracies equal, the others within {np.nanmax(off.to_numpy()):.2g}; "
        f"{n_scorings} scorings",
    )


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    os.chdir(ROOT)
    rows = []
    # scores can be compared where both ways round little
    for dtype in ("auto", "float32"):
        rows.append(measured(items, dtype, sys.argv[2:]))
        save("probe_sweep", rows)


if __name__ == "__main__":
    main()
