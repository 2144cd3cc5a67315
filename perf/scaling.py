"""Cost of a decomposition as tokens, neurons and networks double, on parts of real signals.

python perf/scaling.py [rounds]

The number of iterations is fixed: convergence depends on the signals, not on their size.
"""

import sys

from measure import Cost, Row, peaked, ratio, save, smollm2_signals, timed
from torch import Tensor

from fbn_exp.methods.ica import ICA


def cost(signals: Tensor, k: int, into: list[Cost], peaks: list[float]) -> ICA:
    with peaked(peaks), timed(into):
        return ICA(k, max_starts=1, max_iterations=40, tolerance=1e-15).fit(signals)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    whole = smollm2_signals()
    parts = {
        "tokens 5,000 → 10,000": ((whole[:5_000], 64), (whole, 64), "≤ 2.2"),
        "neurons 8,640 → 17,280": ((whole[:, :8_640].contiguous(), 64), (whole, 64), "≤ 2.2"),
        "networks 32 → 64": ((whole, 32), (whole, 64), ""),
    }
    cost(whole[:3_000], 64, [], [])
    rows = []
    for name, (small, large, target) in parts.items():
        one: list[Cost] = []
        two: list[Cost] = []
        peaks: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            fits = cost(*small, one, peaks[0]), cost(*large, two, peaks[1])
        quality = " → ".join(f"{each.metrics_['negentropy']:.4f}" for each in fits)
        quality += "; explained variance " + " → ".join(f"{each.explained_variance_:.3f}" for each in fits)
        peak = " → ".join(f"{max(each):.2f}" for each in peaks)
        rows.append(Row(f"cost as {name}", str(ratio(two, one)), target, f"negentropy {quality}", peak))
        save("scaling", rows)


if __name__ == "__main__":
    main()
