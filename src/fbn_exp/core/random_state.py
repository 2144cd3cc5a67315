"""Protection of the global random generators from libraries that draw from them or seed them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def random_state_kept(seed: int | None = None) -> Iterator[None]:
    """Restore the global generators of Python, numpy and torch when the context closes.

    Parameters
    ----------
    seed : int, optional
        Seed for torch's generators inside the context.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is meant
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            if seed is not None:
                torch.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
