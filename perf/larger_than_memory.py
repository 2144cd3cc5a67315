"""Decompose 100,000 tokens × 17,280 neurons (6.9 GB) from disk in bounded memory, beside 10,000 in memory.

python perf/larger_than_memory.py [tokens] [--text]

By default the large signals are copies of the 10,000 real rows with independent noise, written into a mapped
file; recording to disk is compared with recording to memory on 2,000 tokens. ``--text`` instead runs the
model over that many tokens of text.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from measure import Cost, Row, matched, median, peaked, save, smollm2, smollm2_signals, texts, timed
from torch import Tensor

from fbn_exp.core.layout import Site
from fbn_exp.core.memmap import map_file, release
from fbn_exp.core.moments import row_chunks
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.config import Split
from fbn_exp.methods.ica import ICA
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.config import SignalsConfig, Storage
from fbn_exp.signals.recording import recorded

K = 64


def fit(signals: Tensor, into: list[Cost]) -> Tensor:
    """Decompose signals; return the time courses of the networks, (K, T)."""
    with timed(into):
        return ICA(K, max_starts=1).fit(signals).time_courses_.T


def agreement(mapped: Tensor, kept: Tensor) -> str:
    """Describe the agreement of networks from disk with those from memory."""
    smallest = matched(fit(mapped, []), fit(kept, [])).min()
    return f"networks of {len(kept):,} tokens from disk and from memory: smallest matched |r| {smallest:.5f}"


def decomposed(n_tokens: int) -> Row:
    small_costs: list[Cost] = []
    large_costs: list[Cost] = []
    peaks: list[float] = []
    small = smollm2_signals()
    fit(small, small_costs)
    fit(small, small_costs)
    generator = torch.Generator().manual_seed(0)
    deviation = 0.1 * torch.stack([each.std(dim=0) for each in small.split(1_000)]).mean(dim=0)
    with tempfile.TemporaryDirectory(dir=Path("outputs/perf")) as folder:
        file = Path(folder) / "signals.f32"
        large = map_file(file, (n_tokens, small.shape[1]))
        file.unlink()  # an unlinked file is freed when this process ends
        for copy in large.split(len(small)):
            for target, source in zip(row_chunks(copy), row_chunks(small[: len(copy)]), strict=True):
                torch.randn(target.shape, generator=generator, out=target)
                target.mul_(deviation).add_(source)
        n_small, size = len(small), large.numel() * 4
        del small, target, source, copy
        release(large)
        with peaked(peaks):
            fit(large, large_costs)
        first = large[:n_small]
        quality = agreement(first, first.clone())
    once, per = median(small_costs), large_costs[0]
    scale = n_small / n_tokens
    found = (
        f"{per.wall / once.wall * scale:.2f} ({per.processor / once.processor * scale:.2f}); {per.wall:.0f} s"
    )
    what = f"decomposition of {size / 1e9:.1f} GB from disk: time per token over 10,000 tokens in memory"
    return Row(what, found, "≤ 1.5; peak < 2", quality, f"{peaks[0]:.2f}")


@contextmanager
def recording(lm: LanguageModel, wanted: Texts, storage: Storage) -> Iterator[Tensor]:
    layout, config = lm.layout(Site.mlp_output), SignalsConfig(storage=storage)
    with (
        tempfile.TemporaryDirectory(dir=Path("outputs/perf")) as scratch,
        recorded(lm, wanted, layout, config, Path(scratch)) as signals,
    ):
        yield signals.values


def record(lm: LanguageModel, wanted: Texts, storage: Storage, networks: bool) -> tuple[Cost, float]:
    """Measure the cost of recording and, if wanted, of decomposing; peak memory beyond the model in GiB."""
    costs: list[Cost] = []
    peaks: list[float] = []
    with peaked(peaks), timed(costs), recording(lm, wanted, storage) as values:
        if networks:
            fit(values, [])
    return costs[0], peaks[0]


def from_text(n_tokens: int, networks: bool) -> Row:
    lm = smollm2()
    small, large = texts(lm, 20 if not networks else 80), texts(lm, max(20, n_tokens // 105), Split.all)
    with recording(lm, small, Storage.memory) as kept, recording(lm, small, Storage.disk) as mapped:
        same = "identical" if torch.equal(mapped, kept) else "not identical"
        quality = f"values recorded to disk and to memory {same}; {agreement(mapped, kept)}"
    del kept, mapped
    one, _ = record(lm, small, Storage.memory, networks)
    two, peak = record(lm, large, Storage.disk, networks)
    scale = small.n_tokens / large.n_tokens
    what = (
        f"{large.n_tokens:,} tokens to disk{' and networks' if networks else ''}: time per token over memory"
    )
    found = f"{two.wall / one.wall * scale:.2f} ({two.processor / one.processor * scale:.2f})"
    return Row(what, found, "≤ 1.5; peak < 2", quality, f"{peak:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tokens", type=int, nargs="?", default=100_000)
    parser.add_argument("--text", action="store_true")
    chosen = parser.parse_args()
    Path("outputs/perf").mkdir(parents=True, exist_ok=True)
    if chosen.text:
        save("larger_than_memory_text", [from_text(chosen.tokens, networks=True)])
        return
    rows = [decomposed(chosen.tokens)]
    save("larger_than_memory", rows)
    rows.append(from_text(2_000, networks=False))
    save("larger_than_memory", rows)


if __name__ == "__main__":
    main()
