"""Recording against the bare forward pass without the language-model head, on the same texts in turn.

python perf/recording.py [rounds]

Wall-clock throughput, and its ratio both by wall clock and by processor time: on a machine that others use
too, only the latter tells what recording costs.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from measure import Cost, Row, bare, median, ratio, save, smollm2, texts, timed
from torch import Tensor

from fbn_exp.activations import recorded
from fbn_exp.config.choices import Site
from fbn_exp.config.options import SignalsConfig
from fbn_exp.datasets.base import Texts
from fbn_exp.methods.fastica import FastICA
from fbn_exp.models import LanguageModel
from fbn_exp.subspace import leading_subspace

NETWORKS = 10


@contextmanager
def recording(lm: LanguageModel, texts: Texts) -> Iterator[Tensor]:
    """From texts to signals in memory, statistics included."""
    layout = lm.layout(Site.mlp_output)
    with (
        tempfile.TemporaryDirectory() as scratch,
        recorded(lm, texts, layout, SignalsConfig(), Path(scratch)) as signals,
    ):
        yield signals.values


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    lm = smollm2()
    wanted, batch = texts(lm, 40), SignalsConfig().batch_tokens
    bare(lm, wanted, batch)
    forward: list[Cost] = []
    record: list[Cost] = []
    networks: list[Cost] = []
    finder: list[Cost] = []
    for seed in range(rounds):
        method = FastICA(NETWORKS)
        with timed(forward):
            bare(lm, wanted, batch)
        with timed(record), recording(lm, wanted):
            pass
        with timed(networks), recording(lm, wanted) as signals:
            method.fit(signals)
        with timed(finder):
            leading_subspace(signals, NETWORKS, torch.Generator().manual_seed(seed))
    rate = f"{wanted.n_tokens / median(record).wall:,.0f} tokens/s"
    save(
        "recording",
        [
            Row("bare forward pass over recording", f"{ratio(forward, record)}; {rate}", "≥ 0.8"),
            Row(
                f"text to {NETWORKS} networks over bare forward pass",
                f"{ratio(networks, forward)}; {method.restarts} starts, the best of {method.n_iterations_} "
                "iterations",
                "≤ 1.25",
            ),
            Row("its range finder over bare forward pass", str(ratio(finder, forward))),
        ],
    )


if __name__ == "__main__":
    main()
