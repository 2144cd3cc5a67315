"""Weights in 8 or 4 bits, by bitsandbytes."""

import importlib.util

import torch
from transformers import BitsAndBytesConfig

from fbn_exp.core.errors import ModelError
from fbn_exp.models.config import Quantization


def check_quantization(asked: Quantization, name: str, device: torch.device) -> None:
    """Refuse what cannot be quantised here, before anything is loaded.

    Raises
    ------
    ModelError
        For random weights, without bitsandbytes, or on a device that it does not know.
    """
    if asked is Quantization.none:
        return
    field = f"model.quantization is {asked.value}"
    if name.startswith("random:"):
        raise ModelError(f"{field}, but {name} has random weights: take model.quantization=none")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(f"{field}, which needs bitsandbytes: pip install bitsandbytes")
    if device.type not in ("cuda", "cpu"):
        raise ModelError(
            f"{field}, which runs on cuda and cpu, and the model would run on {device}: take none"
        )


def quantization_config(asked: Quantization, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """What transformers needs to know; products are computed in ``dtype``."""
    if asked is Quantization.none:
        return None
    if asked is Quantization.int8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
