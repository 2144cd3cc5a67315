"""Choice of device and number format of the weights, and quantisation."""

import torch
from transformers import BitsAndBytesConfig

from fbn_exp.core.errors import ModelError
from fbn_exp.core.package_file import package_folder
from fbn_exp.models.config import Precision, Quantization


def choose_device(asked: str) -> torch.device:
    """Resolve a device by name; ``auto`` takes a GPU if there is one.

    Raises
    ------
    ModelError
        If torch does not know the name, or this machine has no such device.
    """
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)  # a missing device fails here, not after loading
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"model.device is {asked!r}: {str(error).splitlines()[0]}") from error
    return device


def choose_dtype(asked: Precision, device: torch.device) -> torch.dtype:
    """Number format of the weights; ``auto`` takes bfloat16 only if the hardware multiplies in it."""
    if asked is not Precision.auto:
        return {
            Precision.float32: torch.float32,
            Precision.bfloat16: torch.bfloat16,
            Precision.float16: torch.float16,
        }[asked]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # without these instructions a CPU emulates bfloat16, several times slower than float32
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def check_quantization(asked: Quantization, name: str, device: torch.device) -> None:
    """Refuse a quantisation that is impossible here, before anything is loaded.

    Raises
    ------
    ModelError
        If the weights are random, bitsandbytes is not installed, or it does not support the device.
    """
    if asked is Quantization.none:
        return
    field = f"model.quantization is {asked.value}"
    if name.startswith("random:"):
        raise ModelError(f"{field}, but {name} has random weights: take model.quantization=none")
    if package_folder("bitsandbytes") is None:
        raise ModelError(f"{field}, which needs bitsandbytes: pip install bitsandbytes")
    if device.type not in ("cuda", "cpu"):
        raise ModelError(
            f"{field}, which runs on cuda and cpu, and the model would run on {device}: take none"
        )


def quantization_config(asked: Quantization, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """Quantisation settings for transformers; matrix products are computed in ``dtype``."""
    if asked is Quantization.none:
        return None
    if asked is Quantization.int8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
