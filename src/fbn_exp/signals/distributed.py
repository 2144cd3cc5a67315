"""Recording by several ranks: every rank runs its batches and writes its rows, rank 0 combines them."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from fbn_exp.core import ranks
from fbn_exp.core.errors import SignalError
from fbn_exp.core.files import free_bytes, in_words
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.memmap import release
from fbn_exp.core.moments import CHUNK_VALUES
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.places import RecordedRows

log = logging.getLogger(__name__)

Fill = Callable[[Tensor, LanguageModel, Texts, NeuronLayout, SignalsConfig], float]


def fill_together(
    fill: Fill,
    values: Tensor,
    lm: LanguageModel,
    texts: Texts,
    layout: NeuronLayout,
    config: SignalsConfig,
    scratch: Path,
) -> float:
    """Fill all rows of ``values`` with the help of the other ranks.

    The batches are the same as in a single process, so that the rows are equal to the last bit. The ranks
    write files in ``scratch``, which must be visible to all ranks; the files need as much room as the
    signals.

    Parameters
    ----------
    fill : callable
        Function at the top level of a module that writes the rows of the given texts, and returns the
        seconds that the model took.
    values : Tensor of shape (T, N), float32
        Destination of the rows of ``RecordedRows``; overwritten.
    lm, texts, layout, config
        Arguments of ``fill``.
    scratch : Path
        Run folder.

    Returns
    -------
    float
        Seconds of the slowest rank.

    Raises
    ------
    LaunchError
        If a rank does not answer within the timeout.
    """
    with _scratch_folder(scratch, values) as folder:
        seconds = ranks.together(
            record_share, {"lm": ranks.Own("lm", lm)}, fill, texts, layout, config, folder
        )
        # in chunks, so that no copy is as large as the signals
        step = max(1, CHUNK_VALUES // layout.n_neurons)
        of_all = RecordedRows.of(texts, config)
        for rank in range(ranks.count()):
            rows = torch.from_numpy(of_all.of_texts(share_of_texts(texts, config, rank)))
            file = folder / f"rank{rank}.f32"
            part = _mapped(file, (len(rows), layout.n_neurons), new=False)
            for start in range(0, len(rows), step):
                chunk = part[start : start + step]
                values.index_copy_(0, rows[start : start + step].to(values.device), chunk.to(values.device))
                release(chunk)
                release(values)
            del part
            file.unlink()
    return max(seconds)


@contextmanager
def _scratch_folder(scratch: Path, values: Tensor) -> Iterator[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    free, size = free_bytes(scratch), values.numel() * 4
    log.info(
        "ranks record into files: %s needed on the disk of %s, which has %s free",
        in_words(size),
        scratch,
        in_words(free),
    )
    if size > free:
        raise SignalError(_too_small(scratch, size, f"has {in_words(free)} free"))
    with tempfile.TemporaryDirectory(prefix=ranks.SCRATCH, dir=scratch) as folder:
        yield Path(folder).resolve()


def _too_small(scratch: Path, size: int, reason: str) -> str:
    return (
        f"ranks record into files of {in_words(size)}, and {scratch} {reason}: write the run to another "
        "disk (hydra.run.dir=FOLDER), or take launch.num_processes=1"
    )


def share_of_texts(texts: Texts, config: SignalsConfig, rank: int) -> list[int]:
    """Indices of a rank's texts, ascending: whole batches out of those that a single process would run.

    Batching these texts alone gives the same batches, since texts are sorted by length, ties by index.
    """
    batches = length_batches(texts.lengths, config.batch_tokens)
    return sorted(text for batch in batches[rank :: ranks.count()] for text in batch)


def record_share(
    fill: Fill, texts: Texts, layout: NeuronLayout, config: SignalsConfig, folder: Path, lm: LanguageModel
) -> list[float]:
    """Write the rows of this rank's texts into its file, and return the seconds of all ranks.

    Runs on every rank.
    """
    rank, _ = ranks.rank_and_size()
    part = Texts(tuple(texts.items[text] for text in share_of_texts(texts, config, rank)))
    rows = len(RecordedRows.of(part, config))
    seconds = 0.0
    values = _mapped(folder / f"rank{rank}.f32", (rows, layout.n_neurons), new=True)
    if rows:
        seconds = fill(values, lm, part, layout, config)
    del values
    return ranks.gathered(seconds, "the recorded texts")


def _mapped(file: Path, shape: tuple[int, int], new: bool) -> Tensor:
    """Map a file as a matrix; its values are on disk, also for other machines, once the tensor is freed."""
    size = shape[0] * shape[1]
    if new:
        with file.open("wb") as opened:
            # space is allocated now: a full disk while writing to a mapped file would kill the process
            try:
                if size and hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(opened.fileno(), 0, 4 * size)
            except OSError as error:
                reason = f"refuses it ({error.strerror})"
                raise SignalError(_too_small(file.parents[1], 4 * size, reason)) from error
    if not size:
        return torch.empty(shape)
    return torch.from_file(str(file), shared=True, size=size, dtype=torch.float32).view(shape)
