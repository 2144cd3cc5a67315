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
    NeuronStatistics,
    StatisticsByToken,
    neuron_statistics,
    row_norms,
    statistics_by_token,
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
        neurons, statistics = _statistics(recording, rows)
        norms = row_norms(values)
        standardise(values, config.standardise, neurons)
        yield Signals(
            values=values,
            layout=layout,
            texts=texts,
            first_tokens_excluded=config.first_tokens_excluded,
            neurons=neurons,
            row_norms=norms,
            tokens_per_second=sum(texts.lengths) / seconds,
            model=lm.provenance,
            config=config,
            statistics=statistics,
        )


def _statistics(recording: Tensor, rows: RecordedRows) -> tuple[NeuronStatistics, StatisticsByToken]:
    """Statistics over the rows of the signals, and those at first tokens and at the others."""
    values, apart = recording[: len(rows.signals)], recording[len(rows.signals) :]
    if len(rows.first):
        others = neuron_statistics(values)
        return others, StatisticsByToken(neuron_statistics(apart), others)
    statistics = statistics_by_token(values, torch.from_numpy(rows.signals.position == 0))
    return statistics.all, statistics


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
        kept_rows, order = torch.from_numpy(rows.in_batch(batch, shape[1])).sort()
        self.rows = torch.from_numpy(rows.of_texts(batch))[order].to(values.device)
        # one copy per device: the blocks of a large model can be on several devices
        self.kept = {device: kept_rows.to(device) for device in (torch.device("cpu"), values.device)}
        self.sums: list[tuple[Block, Tensor]] = []

    def write(self, block: Block, activations: Tensor) -> None:
        # some architectures pass their MLP a matrix of batch · tokens rows, others a batch of matrices
        flat = activations.reshape(-1, block.width)
        if flat.device not in self.kept:
            self.kept[flat.device] = self.kept[torch.device("cpu")].to(flat.device)
        # kept rows ascend: if there are as many of them as rows, they are all rows in order
        every = len(self.rows) == len(flat)
        kept = flat if every else flat.index_select(0, self.kept[flat.device])
        kept = kept.float().to(self.values.device)
        # a sum is finite only if every term is, and takes a thirtieth of the time of checking all terms
        self.sums.append((block, kept.sum()))
        self.values[:, block.columns].index_copy_(0, self.rows, kept)

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
