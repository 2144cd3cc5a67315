"""Cost of recording beside the forward pass without the language-model head, on the same texts in turn.

python perf/recording.py [rounds]

Reports wall-clock throughput, and its ratio by wall clock and by processor time: on a shared machine only
the latter measures the cost of recording.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from measure import Cost, Row, bare, median, peaked, ratio, save, smollm2, texts, timed
from torch import Tensor

from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import Texts
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.subspace import leading_subspace
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.config import SignalsConfig, Standardise
from fbn_exp.signals.recording import recorded

NETWORKS = 10


# conf/signals
SIGNALS = {
    "stable": SignalsConfig(first_tokens_excluded=1, standardise=Standardise.zscore),
    "paper": SignalsConfig(),
}


@contextmanager
def recording(lm: LanguageModel, texts: Texts, config: SignalsConfig) -> Iterator[Tensor]:
    """Record signals of texts in memory, statistics included."""
    layout = lm.layout(Site.mlp_output)
    with (
        tempfile.TemporaryDirectory() as scratch,
        recorded(lm, texts, layout, config, Path(scratch)) as signals,
    ):
        yield signals.values


@contextmanager
def last_hidden(lm: LanguageModel) -> Iterator[list[Tensor]]:
    """Collect the last hidden states of the model while the context is open."""
    found: list[Tensor] = []
    hook = lm.model.base_model.register_forward_hook(lambda *call: found.append(call[-1].last_hidden_state))
    yield found
    hook.remove()


def measured(lm: LanguageModel, wanted: Texts, name: str, rounds: int, quality: str) -> list[Row]:
    """Rows of one kind of signals."""
    config, batch = SIGNALS[name], SIGNALS[name].batch_tokens
    costs: dict[str, list[Cost]] = {each: [] for each in ("bare", "memory", "record", "networks", "finder")}
    shape = wanted.n_tokens, lm.layout(Site.mlp_output).n_neurons
    peaks: dict[str, list[float]] = {each: [] for each in costs if each != "memory"}
    for seed in range(rounds):
        method = ICA(NETWORKS)
        with peaked(peaks["bare"]), timed(costs["bare"]):
            bare(lm, wanted, batch)
        with timed(costs["memory"]):
            torch.zeros(shape).add_(1)
        with peaked(peaks["record"]), timed(costs["record"]), recording(lm, wanted, config):
            pass
        with peaked(peaks["networks"]), timed(costs["networks"]), recording(lm, wanted, config) as signals:
            method.fit(signals)
        with peaked(peaks["finder"]), timed(costs["finder"]):
            leading_subspace(signals, NETWORKS, torch.Generator().manual_seed(seed))
        del signals  # keep them out of the next round's memory
    rate = f"{wanted.n_tokens / median(costs['record']).wall:,.0f} tokens/s"
    peak = {each: f"{max(values):.2f}" for each, values in peaks.items()}
    forward = costs["bare"]
    return [
        Row(
            f"signals={name}: bare forward pass over recording",
            f"{ratio(forward, costs['record'])}; {rate}",
            "≥ 0.95",
            f"last hidden states {quality}",
            f"{peak['record']}, bare {peak['bare']}",
        ),
        Row(
            f"signals={name}: fresh memory of the signals' size, filled once, over bare forward pass",
            str(ratio(costs["memory"], forward)),
            quality="whoever keeps the signals pays this",
        ),
        Row(
            f"signals={name}: text to {NETWORKS} networks over bare forward pass",
            f"{ratio(costs['networks'], forward)}; {method.metrics_['starts']:.0f} starts, the best of "
            f"{method.n_iterations_} iterations",
            "≤ 1.2",
            f"negentropy {method.metrics_['negentropy']:.4f}, "
            f"explained variance {method.explained_variance_:.3f}",
            f"{peak['networks']}, bare {peak['bare']}",
        ),
        Row(
            f"signals={name}: its range finder over bare forward pass",
            str(ratio(costs["finder"], forward)),
            peak=peak["finder"],
        ),
    ]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    lm = smollm2()
    # as many as extract.py takes by default
    wanted, batch = texts(lm, 100), SignalsConfig().batch_tokens
    with last_hidden(lm) as untouched:
        bare(lm, wanted, batch)
    with last_hidden(lm) as beside, recording(lm, wanted, SignalsConfig()):
        pass
    # a short pass determines the layout before the texts are run
    pairs = list(zip(untouched, beside[-len(untouched) :], strict=True))
    largest = max(float((one - other).abs().max()) for one, other in pairs)
    same = "identical" if all(torch.equal(*each) for each in pairs) else f"differ by at most {largest:.1e}"
    del untouched, beside, pairs
    rows = []
    for name in SIGNALS:
        rows += measured(lm, wanted, name, rounds, same)
        save("recording", rows)


if __name__ == "__main__":
    main()
