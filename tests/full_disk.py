"""A limit on the size of files stands for a full disk: the kernel refuses in the same places."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def files_below(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes while the context is open."""
    # Python ignores the signal that would end the process; writing then fails
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
