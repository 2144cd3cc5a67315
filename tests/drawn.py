"""Random models whose weights are large enough to tell errors, and texts of random tokens."""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from zoo import ZOO

from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer

LENGTHS = (7, 3, 12, 1, 5, 12, 2)


def build(architecture: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    model = ZOO[architecture].build()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # the usual initial weights are so small that a tolerance would hide anything
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3, generator=generator)
    if architecture == "chatglm":
        model.get_input_embeddings = lambda: model.transformer.embedding
        model.get_output_embeddings = lambda: model.transformer.output_layer
        model.dtype = dtype
    config = ModelConfig(name=f"random:{architecture}")
    return LanguageModel(model.to(dtype), byte_tokenizer(), config, None)


shared = functools.cache(build)


def draw_texts(lengths: Sequence[int] = LENGTHS, seed: int = 0) -> Texts:
    generator = np.random.default_rng(seed)
    ids = [tuple(generator.integers(1, 250, length).tolist()) for length in lengths]
    return Texts(tuple(TokenisedText(each, Document("", f"origin {n}")) for n, each in enumerate(ids)))
