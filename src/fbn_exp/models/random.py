"""A model with random weights and a byte tokenizer, built in memory: for tests and dry runs."""

import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from fbn_exp.core.errors import ModelError
from fbn_exp.core.random_state import random_state_kept

SEED = 0
# arguments that some architectures read although their configuration class does not declare them
UNDECLARED = {"head_dim"}


def random_model(model_type: str, arguments: Mapping[str, Any]) -> PreTrainedModel:
    """Build a model of any architecture in transformers, with weights drawn under a fixed seed.

    Parameters
    ----------
    model_type : str
        Architecture as in a checkpoint's ``config.json``: llama, gpt2, gpt_neox, …
    arguments : mapping
        Arguments of the architecture's configuration class.

    Raises
    ------
    ModelError
        If the architecture is unknown, or does not accept the arguments.
    """
    try:
        known = AutoConfig.for_model(model_type)
        # transformers would silently ignore a misspelt argument
        if unknown := [name for name in arguments if name not in UNDECLARED and not hasattr(known, name)]:
            raise ValueError(f"{type(known).__name__} has no argument {', '.join(unknown)}")
        config = AutoConfig.for_model(model_type, **arguments)
        # transformers draws from the global generator
        with random_state_kept(SEED):
            return AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, TypeError, ArithmeticError, RuntimeError, StrictDataclassError) as error:
        # the rest of such a message lists all architectures
        short = re.split(r"\s(?:Should contain|Model type should be) one of", str(error))[0]
        reason = " ".join(short.split())
        raise ModelError(f"cannot build random:{model_type} with {dict(arguments)}: {reason}") from error


def byte_tokenizer() -> PreTrainedTokenizerBase:
    """Build a tokenizer with one token per byte (ids 0-255), then <bos>, <eos>, <pad>: 259 tokens."""
    alphabet = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
