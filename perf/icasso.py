"""Twenty ICASSO runs of 64 components, half of them on texts drawn with replacement and whitened anew.

python perf/icasso.py [rounds]
"""

import sys

import torch
from measure import Cost, Row, median, peaked, save, smollm2_signals, timed

from fbn_exp.core.rows import Rows
from fbn_exp.methods.ica import ICA
from fbn_exp.reliability.icasso import Icasso
from fbn_exp.reliability.runs import fits_of

K, RUNS, TEXT = 64, 20, 100


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    signals = smollm2_signals()
    rows = Rows((TEXT,) * (len(signals) // TEXT))
    signals = signals[: sum(rows.lengths)]
    costs: list[Cost] = []
    peaks: list[float] = []
    for seed in range(rounds):
        generator = torch.Generator().manual_seed(seed)
        with peaked(peaks), timed(costs):
            fits = fits_of(ICA(K, seed=seed), signals, rows, generator)
            runs = fits.runs(fits.draws(Icasso(runs=RUNS).resampled, generator), generator, "Runs")
    cost = median(costs)
    tokens, neurons = signals.shape
    save(
        "icasso",
        [
            Row(
                f"{RUNS} runs of k = {K} on {tokens:,} × {neurons:,}, half on resampled texts",
                f"{cost.wall:.1f} s ({cost.processor:.1f} s of processor time)",
                "< 60 s",
                f"{sum(run.converged for run in runs)} of {RUNS} converged; texts of {TEXT} tokens",
                f"{max(peaks):.2f}",
            )
        ],
    )


if __name__ == "__main__":
    main()
