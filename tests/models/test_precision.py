from pathlib import Path

import pytest
import torch

from fbn_exp.core.errors import ModelError
from fbn_exp.models.config import Precision
from fbn_exp.models.precision import choose_device, choose_dtype


def test_automatic_dtype_is_one_that_the_processor_multiplies_in():
    chosen = choose_dtype(Precision.auto, torch.device("cpu"))
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fast = "amx_tile" in flags or "avx512_bf16" in flags
    assert chosen == (torch.bfloat16 if fast else torch.float32)


@pytest.mark.parametrize("asked", [each for each in Precision if each is not Precision.auto])
def test_what_was_asked_for_is_taken_where_it_is_slow_too(asked):
    assert choose_dtype(asked, torch.device("cpu")) == getattr(torch, asked.value)


def test_automatic_device_is_one_that_computes():
    assert torch.ones(2, device=choose_device("auto")).sum().item() == 2


@pytest.mark.parametrize("asked", ["gpu", "cuda:99", "", "cpu:-5"])
def test_an_unknown_or_missing_device_is_named(asked):
    with pytest.raises(ModelError, match=f"model.device is '{asked}': "):
        choose_device(asked)
