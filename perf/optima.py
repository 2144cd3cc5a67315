"""The ten default networks: their optimum, and how far it is the same with other threads and seeds.

python perf/optima.py [--seeds 10] [--largest-order 600]

These rows are no speeds: docs/replication.md and docs/method.md quote them.
"""

import argparse
import time

import numpy as np
import torch
from measure import ROWS, Row, save, smollm2, texts
from torch import Tensor

from fbn_exp.core.layout import Site
from fbn_exp.methods.config import Criterion
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.order import select_order
from fbn_exp.networks.matching import absolute_correlation, matched
from fbn_exp.signals.config import SignalsConfig, Standardise
from fbn_exp.signals.recording import recorded

SIGNALS = {
    "paper": SignalsConfig(),
    "stable": SignalsConfig(first_tokens_excluded=1, standardise=Standardise.zscore),
}


def smallest(maps: Tensor, others: Tensor) -> float:
    """Return the smallest |r| of a network with its match in another fit."""
    return float(matched(absolute_correlation(maps, others).numpy()).min())


def rows_of(name: str, signals: Tensor, seeds: int, largest: int) -> list[Row]:
    torch.set_num_threads(1)
    started = time.perf_counter()
    first = ICA(10).fit(signals)
    seconds = time.perf_counter() - started
    by_seed = [smallest(first.maps_, ICA(10, seed=seed).fit(signals).maps_) for seed in range(1, seeds + 1)]
    torch.set_num_threads(2)
    two = smallest(first.maps_, ICA(10).fit(signals).maps_)
    found = first.metrics_
    orders = {each: select_order(signals, each, largest, 0)[0] for each in Criterion}
    counted = ", ".join(
        f"{each}: {curve.best}{' (the bound)' * curve.bounded}" for each, curve in orders.items()
    )
    return [
        Row(
            f"{name}: starts at the best optimum",
            f"{found['starts_at_best']:.0f} of {found['starts']:.0f}; {found['optima']:.0f} optima",
            quality=f"negentropy {found['negentropy']:.5f}, next lower by {found.get('gap', np.nan):.3%}; "
            f"gradient {found['gradient']:.0e}; {seconds:.0f} s with whitening, one thread",
        ),
        Row(f"{name}: smallest matched |r|, one and two threads", f"{two:.6f}", "> .999"),
        Row(f"{name}: smallest matched |r|, {seeds} other seeds", f"{min(by_seed):.6f}", "> .999"),
        Row(f"{name}: number of components preferred, up to {largest}", counted),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--largest-order", type=int, default=600)
    chosen = parser.parse_args()
    lm = smollm2()
    of_model = texts(lm, 100)
    rows: list[Row] = []
    ROWS.mkdir(parents=True, exist_ok=True)
    for name, config in SIGNALS.items():
        with recorded(lm, of_model, lm.layout(Site.mlp_output), config, ROWS) as signals:
            rows += rows_of(name, signals.values, chosen.seeds, chosen.largest_order)
        save("optima", rows)


if __name__ == "__main__":
    main()
