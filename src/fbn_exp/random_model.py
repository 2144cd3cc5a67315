"""A model with random weights and a byte tokenizer, built in memory: for tests and dry runs."""

from collections.abc import Mapping
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from fbn_exp.errors import ModelError

SEED = 0


def random_model(model_type: str, arguments: Mapping[str, Any]) -> PreTrainedModel:
    """Model of any architecture of transformers, its weights drawn with a fixed seed.

    Parameters
    ----------
    model_type : str
        As in a checkpoint's ``config.json``: llama, gpt2, gpt_neox, …
    arguments : mapping
        Arguments of the architecture's configuration class.

    Raises
    ------
    ModelError
        If the architecture is unknown or refuses the arguments.
    """
    try:
        config = AutoConfig.for_model(model_type, **arguments)
        # the global generator is used by transformers, so it is put back as it was
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            return AutoModelForCausalLM.from_config(config)  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot build random:{model_type} with {dict(arguments)}: {error}") from error


def byte_tokenizer() -> PreTrainedTokenizerBase:
    """Tokenizer with one token per byte (ids 0-255), then <bos>, <eos>, <pad>: 259 tokens."""
    alphabet = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
