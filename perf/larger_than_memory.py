"""100,000 tokens × 17,280 neurons (6.9 GB) from disk, in bounded memory, against the small case in memory.

python perf/larger_than_memory.py [tokens] [--text]

By default the large signals are copies of the 10,000 real rows, each with noise of its own, written into a
mapped file; recording to disk is compared with recording to memory on 2,000 tokens. ``--text`` instead runs
the model over that many tokens of text.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from measure import Cost, Row, median, peak_gib, reset_peak, save, smollm2, smollm2_signals, texts, timed

from fbn_exp.activations import recorded
from fbn_exp.config.choices import Site, Split, Storage
from fbn_exp.config.options import SignalsConfig
from fbn_exp.datasets.base import Texts
from fbn_exp.mapped import map_file, release
from fbn_exp.methods.fastica import FastICA
from fbn_exp.models import LanguageModel
from fbn_exp.statistics import row_chunks

K = 64


def fit(signals: torch.Tensor, into: list[Cost]) -> None:
    with timed(into):
        FastICA(K, restarts=1).fit(signals)


def decomposed(n_tokens: int) -> Row:
    small_costs: list[Cost] = []
    large_costs: list[Cost] = []
    small = smollm2_signals()
    fit(small, small_costs)
    fit(small, small_costs)
    generator = torch.Generator().manual_seed(0)
    deviation = 0.1 * torch.stack([each.std(dim=0) for each in small.split(1_000)]).mean(dim=0)
    with tempfile.TemporaryDirectory(dir=Path("outputs/perf")) as folder:
        large = map_file(Path(folder) / "signals.f32", (n_tokens, small.shape[1]))
        for copy in large.split(len(small)):
            for target, source in zip(row_chunks(copy), row_chunks(small[: len(copy)]), strict=True):
                torch.randn(target.shape, generator=generator, out=target)
                target.mul_(deviation).add_(source)
        n_small, size = len(small), large.numel() * 4
        del small, target, source, copy
        release(large)
        reset_peak()
        before = peak_gib()
        fit(large, large_costs)
        peak = peak_gib() - before
    once, per = median(small_costs), large_costs[0]
    scale = n_small / n_tokens
    found = (
        f"{per.wall / once.wall * scale:.2f} ({per.processor / once.processor * scale:.2f}); {per.wall:.0f} s"
    )
    what = f"decomposition of {size / 1e9:.1f} GB from disk: time per token over 10,000 tokens in memory"
    return Row(what, found, "≤ 1.5; peak < 2", peak=f"{peak:.2f}")


def record(lm: LanguageModel, wanted: Texts, storage: Storage, networks: int) -> tuple[Cost, float]:
    """Cost of recording, and of decomposing where networks are wanted; peak over the model in GiB."""
    costs: list[Cost] = []
    reset_peak()
    before = peak_gib()
    with tempfile.TemporaryDirectory(dir=Path("outputs/perf")) as scratch, timed(costs):
        layout = lm.layout(Site.mlp_output)
        with recorded(lm, wanted, layout, SignalsConfig(storage=storage), Path(scratch)) as signals:
            if networks:
                FastICA(networks, restarts=1).fit(signals.values)
    return costs[0], peak_gib() - before


def from_text(n_tokens: int, networks: int) -> Row:
    lm = smollm2()
    small, large = texts(lm, 20 if not networks else 80), texts(lm, max(20, n_tokens // 105), Split.all)
    record(lm, small, Storage.memory, 0)
    one, _ = record(lm, small, Storage.memory, networks)
    two, peak = record(lm, large, Storage.disk, networks)
    scale = small.n_tokens / large.n_tokens
    what = (
        f"{large.n_tokens:,} tokens to disk{' and networks' if networks else ''}: time per token over memory"
    )
    found = f"{two.wall / one.wall * scale:.2f} ({two.processor / one.processor * scale:.2f})"
    return Row(what, found, "≤ 1.5; peak < 2", peak=f"{peak:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tokens", type=int, nargs="?", default=100_000)
    parser.add_argument("--text", action="store_true")
    chosen = parser.parse_args()
    Path("outputs/perf").mkdir(parents=True, exist_ok=True)
    if chosen.text:
        save("larger_than_memory_text", [from_text(chosen.tokens, K)])
        return
    rows = [decomposed(chosen.tokens)]
    save("larger_than_memory", rows)
    rows.append(from_text(2_000, 0))
    save("larger_than_memory", rows)


if __name__ == "__main__":
    main()
