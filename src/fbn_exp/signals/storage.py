"""Storage of signals: on the model's accelerator, in memory, or in a scratch file."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from fbn_exp.core.errors import SignalError
from fbn_exp.core.files import free_bytes, in_words
from fbn_exp.core.memmap import map_nameless_file
from fbn_exp.signals.config import SignalsConfig, Storage

log = logging.getLogger(__name__)
GIB = 2**30
# memory on an accelerator to leave free for the forward pass and the products of a decomposition
ACCELERATOR_RESERVE = 6 * GIB


@contextmanager
def allocated(
    shape: tuple[int, int], config: SignalsConfig, device: torch.device, scratch: Path
) -> Iterator[Tensor]:
    """Yield an uninitialised tensor for signals; a scratch file is removed when the context closes.

    Parameters
    ----------
    shape : tuple of int
        Numbers of tokens and neurons.
    config : SignalsConfig
        Storage and memory budget.
    device : torch.device
        Device of the model.
    scratch : Path
        Folder for a scratch file, created if needed.

    Raises
    ------
    SignalError
        If there is too little room in the chosen storage.
    """
    size = shape[0] * shape[1] * 4
    words = f"{shape[0]:,} tokens × {shape[1]:,} neurons, {in_words(size)}"
    place = choose_storage(size, config, device)
    if place is Storage.disk:
        free = in_words(free_bytes(scratch))
        log.info("signals: %s, needed on the disk of %s, which has %s free", words, scratch, free)
        with _scratch_file(shape, scratch, words) as values:
            yield values
    else:
        log.info("signals: %s, in %s", words, place)
        yield torch.empty(shape, device=device if place is Storage.accelerator else "cpu")


def choose_storage(size: int, config: SignalsConfig, device: torch.device) -> Storage:
    """Choose the storage for signals of ``size`` bytes.

    Raises
    ------
    SignalError
        If the accelerator is required, and there is none or it has too little free memory.
    """
    free = _free_on(device)
    fits = size + ACCELERATOR_RESERVE <= free
    if config.storage is Storage.accelerator and not fits:
        raise SignalError(
            f"signals.storage is accelerator: {size / GIB:.2f} GiB of signals, and room for work, "
            f"exceed the {free / GIB:.2f} GiB free on {device}: take signals.storage=auto"
        )
    if config.storage is not Storage.auto:
        return config.storage
    if fits:
        return Storage.accelerator
    return Storage.memory if size <= config.memory_budget_gb * GIB else Storage.disk


def _free_on(device: torch.device) -> int:
    """Bytes free on an accelerator, including those that torch has reserved but not allocated; 0 on a CPU."""
    if device.type != "cuda":
        return 0
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + idle


@contextmanager
def _scratch_file(shape: tuple[int, int], scratch: Path, words: str) -> Iterator[Tensor]:
    """Yield a matrix mapped from a file, refused if the disk is too small: writing would kill the process."""
    scratch.mkdir(parents=True, exist_ok=True)
    free = free_bytes(scratch)
    if shape[0] * shape[1] * 4 > free:
        raise SignalError(_too_small(scratch, words, f"has {in_words(free)} free"))
    try:
        values = map_nameless_file(scratch, shape)
    except OSError as error:
        raise SignalError(_too_small(scratch, words, f"refuses it ({error.strerror})")) from error
    yield values


def _too_small(scratch: Path, words: str, reason: str) -> str:
    return (
        f"signals ({words}) are above signals.memory_budget_gb, and {scratch} {reason}: "
        "raise the budget, take less text, or write the run to another disk"
    )
