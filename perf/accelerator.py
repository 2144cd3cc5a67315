"""Recording, decomposition and interventions on an accelerator, at the shape of Llama-3-8B.

python perf/accelerator.py [texts]

The model has random weights in bfloat16, built on the device: 32 blocks of 4,096 neurons, 131,072 in all.
Random tokens, 100 texts of 1,024; ICA does not converge on such signals, so each start takes all iterations.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measure import Row, save
from transformers import LlamaConfig, LlamaForCausalLM

from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.datasets.batches import length_batches
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.methods.ica import ICA
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

ROUNDS = 3
LENGTH = 1024


def llama() -> LanguageModel:
    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=4_096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8_192,
        rope_theta=500_000.0,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).eval()
    torch.set_default_dtype(torch.float32)
    return LanguageModel(model, byte_tokenizer(), ModelConfig(name="random Llama-3-8B shape"), None)


def random_texts(count: int) -> Texts:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 128_000, size=(count, LENGTH))
    return Texts(tuple(TokenisedText(tuple(row.tolist()), Document("", "random")) for row in ids))


def forward(lm: LanguageModel, texts: Texts, batch_tokens: int) -> float:
    """Tokens per second of the bare forward pass, without the head."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    with torch.inference_mode():
        for batch in length_batches(texts.lengths, batch_tokens):
            ids = torch.tensor([texts.ids[text] for text in batch])
            mask = torch.ones_like(ids)
            lm.model.base_model(
                input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), use_cache=False
            )
    torch.cuda.synchronize()
    return texts.n_tokens / (time.perf_counter() - started)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    lm, texts, config = llama(), random_texts(count), SignalsConfig()
    layout = lm.layout(Site.mlp_output)
    lesion = Edit(lesioned(layout.n_neurons), torch.zeros(layout.n_neurons))
    forward(lm, random_texts(8), config.batch_tokens)
    bare, record, intervened, decompose, total = [], [], [], [], []
    for _ in range(ROUNDS):
        bare.append(forward(lm, texts, config.batch_tokens))
        with applied(lm.model, layout, lesion):
            intervened.append(forward(lm, texts, config.batch_tokens))
        started = time.perf_counter()
        with (
            tempfile.TemporaryDirectory() as scratch,
            recorded(lm, texts, layout, config, Path(scratch)) as signals,
        ):
            recording = time.perf_counter() - started
            record.append(texts.n_tokens / recording)
            ICA(64).fit(signals.values)
            total.append(time.perf_counter() - started)
            decompose.append(total[-1] - recording)
            place = signals.values.device
        del signals
    print(f"{texts.n_tokens:,} × {layout.n_neurons:,} signals on {place}")
    peak = f"{torch.cuda.max_memory_allocated() / 2**30:.1f}"
    rates = [f"{statistics.median(each):,.0f} tokens/s" for each in (bare, record, intervened)]
    rows = [
        Row("bare forward pass, Llama-3-8B shape, 131,072 neurons", rates[0]),
        Row("recorded over bare", f"{ratio(record, bare):.3f}; {rates[1]}", "≥ 0.95"),
        Row("intervened over bare", f"{ratio(intervened, bare):.3f}; {rates[2]}", "≥ 0.97"),
        Row(
            f"{texts.n_tokens:,} tokens to 64 networks, decomposition alone",
            f"{statistics.median(decompose):.1f} s",
        ),
        Row(
            "text to 64 networks", f"{statistics.median(total):.1f} s", "< 60 s", peak=f"{peak} on the device"
        ),
    ]
    save("accelerator", rows)


def lesioned(n_neurons: int) -> torch.Tensor:
    """Draw scales that set a random 2% of the neurons to 0."""
    scale = torch.ones(n_neurons)
    scale[torch.randperm(n_neurons, generator=torch.Generator().manual_seed(0))[: n_neurons // 50]] = 0
    return scale


def ratio(rates: list[float], bare: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(rates, bare, strict=True))


if __name__ == "__main__":
    main()
