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
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

NETWORKS = 10


@contextmanager
def recording(lm: LanguageModel, texts: Texts) -> Iterator[Tensor]:
    """Record signals of texts in memory, statistics included."""
    layout = lm.layout(Site.mlp_output)
    with (
        tempfile.TemporaryDirectory() as scratch,
        recorded(lm, texts, layout, SignalsConfig(), Path(scratch)) as signals,
    ):
        yield signals.values


@contextmanager
def last_hidden(lm: LanguageModel) -> Iterator[list[Tensor]]:
    """Collect the last hidden states of the model while the context is open."""
    found: list[Tensor] = []
    hook = lm.model.base_model.register_forward_hook(lambda *call: found.append(call[-1].last_hidden_state))
    yield found
    hook.remove()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    lm = smollm2()
    wanted, batch = texts(lm, 40), SignalsConfig().batch_tokens
    with last_hidden(lm) as untouched:
        bare(lm, wanted, batch)
    with last_hidden(lm) as beside, recording(lm, wanted):
        pass
    # a short pass determines the layout before the texts are run
    pairs = list(zip(untouched, beside[-len(untouched) :], strict=True))
    largest = max(float((one - other).abs().max()) for one, other in pairs)
    same = "identical" if all(torch.equal(*each) for each in pairs) else f"differ by at most {largest:.1e}"
    forward: list[Cost] = []
    record: list[Cost] = []
    networks: list[Cost] = []
    finder: list[Cost] = []
    peaks: dict[str, list[float]] = {each: [] for each in ("bare", "record", "networks", "finder")}
    for seed in range(rounds):
        method = ICA(NETWORKS)
        with peaked(peaks["bare"]), timed(forward):
            bare(lm, wanted, batch)
        with peaked(peaks["record"]), timed(record), recording(lm, wanted):
            pass
        with peaked(peaks["networks"]), timed(networks), recording(lm, wanted) as signals:
            method.fit(signals)
        with peaked(peaks["finder"]), timed(finder):
            leading_subspace(signals, NETWORKS, torch.Generator().manual_seed(seed))
        del signals  # keep them out of the next round's memory
    rate = f"{wanted.n_tokens / median(record).wall:,.0f} tokens/s"
    peak = {name: f"{max(each):.2f}" for name, each in peaks.items()}
    save(
        "recording",
        [
            Row(
                "bare forward pass over recording",
                f"{ratio(forward, record)}; {rate}",
                "≥ 0.8",
                f"last hidden states {same}",
                f"{peak['record']}, bare {peak['bare']}",
            ),
            Row(
                f"text to {NETWORKS} networks over bare forward pass",
                f"{ratio(networks, forward)}; {method.metrics_['starts']:.0f} starts, the best of "
                f"{method.n_iterations_} iterations",
                "≤ 1.25",
                f"negentropy {method.metrics_['negentropy']:.4f}, "
                f"explained variance {method.explained_variance_:.3f}",
                f"{peak['networks']}, bare {peak['bare']}",
            ),
            Row("its range finder over bare forward pass", str(ratio(finder, forward)), peak=peak["finder"]),
        ],
    )


if __name__ == "__main__":
    main()
