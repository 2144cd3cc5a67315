"""Device and number format of a model's weights."""

import torch

from fbn_exp.core.errors import ModelError
from fbn_exp.models.config import Precision


def choose_device(asked: str) -> torch.device:
    """Device by name; ``auto`` takes a GPU where there is one.

    Raises
    ------
    ModelError
        If torch does not know the name, or there is no such device here.
    """
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)  # a device that is not there fails here, not after loading
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"model.device is {asked!r}: {str(error).splitlines()[0]}") from error
    return device


def choose_dtype(asked: Precision, device: torch.device) -> torch.dtype:
    """Format of the weights; ``auto`` takes bfloat16 only where the hardware multiplies in it."""
    if asked is not Precision.auto:
        return {
            Precision.float32: torch.float32,
            Precision.bfloat16: torch.bfloat16,
            Precision.float16: torch.float16,
        }[asked]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # without these instructions a processor emulates bfloat16, several times slower than float32
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32
