"""Texts through the model: record the neurons' activations as signals, tokens × neurons."""

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core import ranks
from fbn_exp.core.errors import ConfigError, SignalError
from fbn_exp.core.files import free_bytes, in_words
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.core.memmap import map_file, release
from fbn_exp.core.moments import NeuronStatistics, RowNorms, neuron_statistics, row_norms
from fbn_exp.core.rows import Rows
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.models.hooks import visited
from fbn_exp.models.load import LanguageModel
from fbn_exp.signals.config import SignalsConfig, Storage
from fbn_exp.signals.distributed import fill_together
from fbn_exp.signals.standardise import standardise

log = logging.getLogger(__name__)
GIB = 2**30
# room on an accelerator, beside the signals, for the forward pass and the products of a decomposition
ACCELERATOR_RESERVE = 6 * GIB


@dataclass(frozen=True, eq=False)
class Signals:
    """What every neuron did at every token.

    Attributes
    ----------
    values : Tensor of shape (T, N), float32
        Row t is a token, in the order of the texts; standardised if that was asked. In memory, on the
        model's device, or mapped from a file.
    layout : NeuronLayout
        Order of the columns.
    texts : Texts
        The texts that were run.
    first_tokens_excluded : int
        Leading tokens of each text that have no row.
    neurons : NeuronStatistics
        Mean, standard deviation and mean absolute value of the raw activations.
    row_norms : RowNorms
        Norms of the raw rows: how much of the energy sits in a few outlier tokens.
    tokens_per_second : float
        Throughput of the recording, padding not counted.
    """

    values: Tensor
    layout: NeuronLayout
    texts: Texts
    first_tokens_excluded: int
    neurons: NeuronStatistics
    row_norms: RowNorms
    tokens_per_second: float

    @cached_property
    def rows(self) -> Rows:
        """Which token of which text every row is."""
        return self.texts.rows(self.first_tokens_excluded)


def check(config: SignalsConfig) -> None:
    """Refuse settings that are out of range, before any model is loaded.

    Raises
    ------
    ConfigError
        Naming the field and the value received.
    """
    if config.first_tokens_excluded < 0:
        raise ConfigError(
            f"signals.first_tokens_excluded is {config.first_tokens_excluded}, must be 0 or more"
        )
    if config.batch_tokens < 1:
        raise ConfigError(f"signals.batch_tokens is {config.batch_tokens}, must be at least 1")
    if not config.memory_budget_gb > 0:  # NaN is refused as well
        raise ConfigError(f"signals.memory_budget_gb is {config.memory_budget_gb}, must be positive")


@contextmanager
def recorded(
    lm: LanguageModel, texts: Texts, layout: NeuronLayout, config: SignalsConfig, scratch: Path
) -> Iterator[Signals]:
    """Run all texts and yield their signals; a scratch file is gone when the context closes.

    Parameters
    ----------
    lm : LanguageModel
        The model; its language-model head is not run.
    texts : Texts
        Texts with their token ids.
    layout : NeuronLayout
        What to record.
    config : SignalsConfig
        Tokens to exclude, standardisation, batch size, memory budget.
    scratch : Path
        Folder for signals beyond the memory budget.

    Yields
    ------
    Signals
        In memory, or mapped from a file in ``scratch``.

    Raises
    ------
    SignalError
        If an activation is not finite, no token is left, or the disk is too small for the scratch file.
    """
    n_rows = len(texts.rows(config.first_tokens_excluded))
    if n_rows == 0:
        raise SignalError(
            f"no token is left: all {len(texts)} texts have at most {config.first_tokens_excluded} tokens "
            "and signals.first_tokens_excluded leaves that many out"
        )
    with _storage((n_rows, layout.n_neurons), config, lm.device, scratch) as values:
        if ranks.count() > 1:
            seconds = fill_together(_fill, values, lm, texts, layout, config, scratch)
        else:
            seconds = _fill(values, lm, texts, layout, config)
        neurons, norms = neuron_statistics(values), row_norms(values)
        standardise(values, config.standardise, neurons)
        rate = sum(texts.lengths) / seconds
        yield Signals(values, layout, texts, config.first_tokens_excluded, neurons, norms, rate)


@contextmanager
def _storage(
    shape: tuple[int, int], config: SignalsConfig, device: torch.device, scratch: Path
) -> Iterator[Tensor]:
    size = shape[0] * shape[1] * 4
    words = f"{shape[0]:,} tokens × {shape[1]:,} neurons, {in_words(size)}"
    place = choose_storage(size, config, device)
    if place is Storage.disk:
        free = in_words(free_bytes(scratch))
        log.info("signals: %s, needed on the disk of %s, which has %s free", words, scratch, free)
    else:
        log.info("signals: %s, in %s", words, place)
    if place is Storage.accelerator:
        yield torch.empty(shape, device=device)
    elif place is Storage.memory:
        yield torch.empty(shape)
    else:
        scratch.mkdir(parents=True, exist_ok=True)
        _require_space(scratch, size, words)
        # a network file system keeps a file without a name until it is let go of
        with tempfile.TemporaryDirectory(
            prefix="signals-", dir=scratch, ignore_cleanup_errors=True
        ) as folder:
            file = Path(folder) / "signals.f32"
            try:
                values = map_file(file, shape)
            except OSError as error:
                raise SignalError(_too_small(scratch, words, f"refuses it ({error.strerror})")) from error
            # without a name it takes no room after this process, however that ends
            file.unlink()
            yield values


def choose_storage(size: int, config: SignalsConfig, device: torch.device) -> Storage:
    """Where signals of ``size`` bytes are kept.

    Raises
    ------
    SignalError
        If the accelerator was asked for, and there is none or it is too full.
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
    """Bytes free on an accelerator, with those that torch holds but does not use; 0 on a processor."""
    if device.type != "cuda":
        return 0
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + idle


def _require_space(scratch: Path, size: int, shape: str) -> None:
    """Refuse a mapped file that the disk cannot hold: writing to it would kill the process."""
    free = free_bytes(scratch)
    if size > free:
        raise SignalError(_too_small(scratch, shape, f"has {in_words(free)} free"))


def _too_small(scratch: Path, shape: str, reason: str) -> str:
    return (
        f"signals ({shape}) are above signals.memory_budget_gb, and {scratch} {reason}: "
        "raise the budget, take less text, or write the run to another disk"
    )


def _fill(
    values: Tensor, lm: LanguageModel, texts: Texts, layout: NeuronLayout, config: SignalsConfig
) -> float:
    """Write every token's activations into its row; return the seconds that the passes took."""
    rows = texts.rows(config.first_tokens_excluded)
    base = lm.model.base_model
    bar = tqdm(total=sum(texts.lengths), unit=" tokens", unit_scale=True, desc="recording", mininterval=0.5)
    seconds = 0.0
    with bar, torch.inference_mode():
        for batch in length_batches(texts.lengths, config.batch_tokens):
            ids, mask = pad([texts.ids[text] for text in batch], lm.pad_id)
            writer = _Writer(values, texts, batch, rows, ids.shape)
            started = time.perf_counter()
            with visited(lm.model, layout, writer.write):
                base(input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), use_cache=False)
            writer.check()
            release(values)
            seconds += time.perf_counter() - started
            bar.update(int(mask.sum()))
    return seconds


class _Writer:
    """Copies one batch's activations to their rows; padding and excluded tokens have none."""

    def __init__(
        self,
        values: Tensor,
        texts: Texts,
        batch: list[int],
        rows: Rows,
        shape: torch.Size,
    ) -> None:
        self.values, self.texts, self.batch, self.shape = values, texts, batch, shape
        self.rows = torch.from_numpy(rows.of_texts(batch)).to(values.device)
        own = rows.subset(batch)
        # by device: the blocks of a large model can be on several
        kept_rows = torch.from_numpy(own.text * shape[1] + own.position)
        self.kept = {device: kept_rows.to(device) for device in (torch.device("cpu"), values.device)}
        self.sums: list[tuple[Block, Tensor]] = []

    def write(self, block: Block, activations: Tensor) -> None:
        # some architectures hand their MLP a matrix of batch × tokens rows, others a batch of matrices
        flat = activations.reshape(-1, block.width)
        if flat.device not in self.kept:
            self.kept[flat.device] = self.kept[torch.device("cpu")].to(flat.device)
        # kept rows ascend, so as many of them as there are rows are all rows
        every = len(self.rows) == len(flat)
        kept = flat if every else flat.index_select(0, self.kept[flat.device])
        found = kept.float().to(self.values.device)
        # a sum is finite only if every term is, and costs a thirtieth of looking at each
        self.sums.append((block, found.sum()))
        self.values[:, block.columns].index_copy_(0, self.rows, found)

    def check(self) -> None:
        """Refuse the batch if an activation is not finite; once per batch, as it waits for the device."""
        if torch.stack([total for _, total in self.sums]).isfinite().all():
            return
        for block, _ in self.sums:
            broken = ~self.values[self.rows, block.columns].isfinite().all(dim=1)
            if broken.any():
                self._refuse(block, int(broken.nonzero()[0]))

    def _refuse(self, block: Block, bad: int) -> None:
        place, position = divmod(int(self.kept[torch.device("cpu")][bad]), self.shape[1])
        text = self.batch[place]
        raise SignalError(
            f"activation is not finite in {block.path}, text {text} ({self.texts.documents[text].origin}), "
            f"token {position}: the model overflows, try model.dtype=float32"
        )
