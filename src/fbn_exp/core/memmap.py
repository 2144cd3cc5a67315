"""Memory-mapped matrices, processed in pieces whose pages are released after use.

Pages of a mapped file count as the process's memory as long as they are resident, and the kernel evicts them
only under pressure. ``release`` drops them; written values stay in the file.
"""

import contextlib
import ctypes
import mmap
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

# 64 MiB of float32: matrix products reach full speed at this size
PRODUCT_VALUES = 2**24
# scattered rows: where the kernel keeps a file in large pages, one row may map megabytes around it
ROWS_AT_ONCE = 32


def map_file(file: Path, shape: tuple[int, int]) -> Tensor:
    """Create a float32 matrix of zeros that is mapped from a new file.

    All of its space on the disk is allocated at once: writing to a page that the disk has no room for would
    kill the process.

    Raises
    ------
    OSError
        If the disk, a quota or a limit refuses a file of that size; no file is left then.
    """
    n_values = shape[0] * shape[1]
    with file.open("xb") as handle:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle.fileno(), 0, n_values * 4)
        except OSError:
            file.unlink()
            raise
    return torch.from_file(str(file), shared=True, size=n_values, dtype=torch.float32).view(shape)


def map_nameless_file(folder: Path, shape: tuple[int, int]) -> Tensor:
    """As ``map_file``, of a file without a name: the system frees it when this process ends, however it ends.

    Parameters
    ----------
    folder : Path
        Folder on whose disk the values are.
    shape : tuple of int
        Numbers of rows and columns.

    Raises
    ------
    OSError
        If the disk, a quota or a limit refuses a file of that size; no file is left then.
    """
    n_values = shape[0] * shape[1]
    handle = _nameless(folder)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, n_values * 4)
        open_files = "/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd"
        name = f"{open_files}/{handle}"
        return torch.from_file(name, shared=True, size=n_values, dtype=torch.float32).view(shape)
    finally:
        # the mapping keeps the file
        os.close(handle)


def _nameless(folder: Path) -> int:
    """Handle of a new file without a name; where systems have none, of a file that loses its name at once."""
    with contextlib.suppress(AttributeError, OSError):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    handle, name = tempfile.mkstemp(prefix=".signals-", dir=folder)
    Path(name).unlink()
    return handle


def is_mapped(values: Tensor) -> bool:
    """True if a tensor, or the base of a view, is mapped from a file by ``map_file``."""
    return values.device.type == "cpu" and values.untyped_storage().filename is not None


def release(values: Tensor) -> None:
    """Drop the resident pages of a mapped tensor or of a view of one; the next access reads them again.

    No value is lost. A tensor in ordinary memory is left alone.
    """
    if values.numel() == 0 or not is_mapped(values):
        return
    span = sum((size - 1) * stride for size, stride in zip(values.shape, values.stride(), strict=True)) + 1
    start = values.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
    _madvise()(start, values.data_ptr() + span * values.element_size() - start, mmap.MADV_DONTNEED)


@cache
def _madvise() -> Callable[[int, int, int], int]:
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    function.restype = ctypes.c_int
    return function


def copied_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Copy of ``values[rows]``, shape (len(rows), N); pages of mapped values are released after reading."""
    if not is_mapped(values):
        return values[rows.to(values.device)]
    copied = torch.empty(len(rows), values.shape[1], dtype=values.dtype)
    for into, some in zip(copied.split(ROWS_AT_ONCE), rows.split(ROWS_AT_ONCE), strict=True):
        torch.index_select(values, 0, some, out=into)
        release(values)
    return copied


def times(values: Tensor, right: Tensor) -> Tensor:
    """Compute ``values @ right``, shape (T, m); values (T, N) may be mapped; in pieces on the CPU."""
    if values.device.type != "cpu":
        return values @ right
    product = torch.empty(len(values), right.shape[1], dtype=right.dtype)
    for rows in _slices(values):
        torch.mm(values[rows], right, out=product[rows])
        release(values[rows])
    return product


def transposed_times(values: Tensor, right: Tensor) -> Tensor:
    """Compute ``values.T @ right``, shape (N, m); values (T, N) may be mapped; in pieces on the CPU.

    This takes three quarters of the time of ``right.T @ values``, since neurons are the rows of the product.
    """
    if values.device.type != "cpu":
        return values.T @ right
    product = torch.zeros(values.shape[1], right.shape[1], dtype=right.dtype)
    for rows in _slices(values):
        product.addmm_(values[rows].T, right[rows])
        release(values[rows])
    return product


def _slices(values: Tensor) -> list[slice]:
    rows = max(1, PRODUCT_VALUES // max(1, values.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(values), rows)]
