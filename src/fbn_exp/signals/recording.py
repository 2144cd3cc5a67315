"""Recording: run texts through a model and store the neurons' activations as signals, tokens × neurons."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core import ranks
from fbn_exp.core.errors import SignalError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.core.memmap import release
from fbn_exp.core.moments import (
    SignalStatistics,
    StatisticsByToken,
    neuron_statistics,
    signal_statistics,
)
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.models.hooks import visited
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.base import Signals
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.distributed import fill_together
from fbn_exp.signals.places import RecordedRows
from fbn_exp.signals.standardise import standardise
from fbn_exp.signals.storage import allocated


@contextmanager
def recorded(
    lm: LanguageModel, texts: Texts, layout: NeuronLayout, config: SignalsConfig, scratch: Path
) -> Iterator[Signals]:
    """Run all texts and yield their signals; a scratch file is removed when the context closes.

    Parameters
    ----------
    lm : LanguageModel
        The model; its language-model head is not run.
    texts : Texts
        Texts with their token ids.
    layout : NeuronLayout
        Neurons to record.
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
    rows = RecordedRows.of(texts, config)
    if len(rows.signals) == 0:
        raise SignalError(
            f"no token is left: all {len(texts)} texts have at most {config.first_tokens_excluded} tokens "
            "and signals.first_tokens_excluded leaves that many out"
        )
    with allocated((len(rows), layout.n_neurons), config, lm.device, scratch) as recording:
        if ranks.count() > 1:
            seconds = fill_together(_fill, recording, lm, texts, layout, config, scratch)
        else:
            seconds = _fill(recording, lm, texts, layout, config)
        values = recording[: len(rows.signals)]
        found = _statistics(recording, rows)
        # over the rows of the signals
        neurons = found.by_token.others if len(rows.first) else found.by_token.all
        standardise(values, config.standardise, neurons)
        yield Signals(
            values=values,
            layout=layout,
            texts=texts,
            first_tokens_excluded=config.first_tokens_excluded,
            neurons=neurons,
            row_norms=found.norms,
            tokens_per_second=sum(texts.lengths) / seconds,
            model=lm.provenance,
            config=config,
            statistics=found.by_token,
        )


def _statistics(recording: Tensor, rows: RecordedRows) -> SignalStatistics:
    """Statistics at first tokens and at the others, and norms of the rows of the signals."""
    values, apart = recording[: len(rows.signals)], recording[len(rows.signals) :]
    found = signal_statistics(values, torch.from_numpy(rows.signals.position == 0))
    if not len(rows.first):
        return found
    return SignalStatistics(StatisticsByToken(neuron_statistics(apart), found.by_token.others), found.norms)


def _fill(
    values: Tensor, lm: LanguageModel, texts: Texts, layout: NeuronLayout, config: SignalsConfig
) -> float:
    """Write every token's activations into its row, and return the seconds that the forward passes took."""
    rows = RecordedRows.of(texts, config)
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
    """Copies one batch's activations to their rows; padding and excluded tokens have no row."""

    def __init__(
        self,
        values: Tensor,
        texts: Texts,
        batch: list[int],
        rows: RecordedRows,
        shape: torch.Size,
    ) -> None:
        self.values, self.texts, self.batch, self.shape = values, texts, batch, shape
        self.rows = torch.from_numpy(rows.of_texts(batch))
        self.kept = torch.from_numpy(rows.in_batch(batch, shape[1]))
        self.sums: list[tuple[Block, Tensor]] = []
        # one copy per device: the blocks of a large model can be on several devices
        self.placed: dict[torch.device, Tensor] = {}
        self.runs = _runs(self.rows, self.kept)
        self.rows = self.rows.to(values.device)

    def write(self, block: Block, activations: Tensor) -> None:
        # some architectures pass their MLP a matrix of batch · tokens rows, others a batch of matrices
        flat, columns = activations.reshape(-1, block.width), self.values[:, block.columns]
        if self.values.device.type == "cpu":
            # a processor copies text by text in half the time of a copy by index
            flat = flat.to(self.values.device)
            for rows, kept in self.runs:
                columns[rows].copy_(flat[kept])
        else:
            if flat.device not in self.placed:
                self.placed[flat.device] = self.kept.to(flat.device)
            flat = flat.index_select(0, self.placed[flat.device]).float().to(self.values.device)
            columns.index_copy_(0, self.rows, flat)
        # a sum is finite only if every term is, and takes a thirtieth of the time of checking all terms
        self.sums.append((block, flat.sum(dtype=torch.float32)))

    def check(self) -> None:
        """Refuse the batch if an activation is not finite, padding aside.

        Once per batch, as it waits for the device.
        """
        if torch.stack([total for _, total in self.sums]).isfinite().all():
            return
        for block, _ in self.sums:
            broken = ~self.values[self.rows, block.columns].isfinite().all(dim=1)
            if broken.any():
                self._refuse(block, int(broken.nonzero()[0]))

    def _refuse(self, block: Block, bad: int) -> None:
        place, position = divmod(int(self.kept[bad]), self.shape[1])
        text = self.batch[place]
        raise SignalError(
            f"activation is not finite in {block.path}, text {text} ({self.texts.documents[text].origin}), "
            f"token {position}: the model overflows, try model.dtype=float32"
        )


def _runs(rows: Tensor, kept: Tensor) -> list[tuple[slice, slice]]:
    """Slices of rows and of places in the batch, where both are consecutive."""
    breaks = ((rows.diff() != 1) | (kept.diff() != 1)).nonzero()[:, 0] + 1
    lengths = torch.diff(
        breaks, prepend=breaks.new_zeros(1), append=breaks.new_full((1,), len(rows))
    ).tolist()
    return [
        (slice(int(one[0]), int(one[0]) + len(one)), slice(int(other[0]), int(other[0]) + len(other)))
        for one, other in zip(rows.split(lengths), kept.split(lengths), strict=True)
        if len(one)
    ]
