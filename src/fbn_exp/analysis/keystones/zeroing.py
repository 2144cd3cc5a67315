"""Loss with a few neurons at 0: many such edits share the part of the model before their block."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core import ranks
from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.core.rows import Array
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.models.hooks import Visitor, kept_outputs, marked_as_edited, returning, stacked, visited
from fbn_exp.models.language_model import LanguageModel, nats_of
from fbn_exp.models.sites import decoder_blocks, enclosing

log = logging.getLogger(__name__)

# tokens of the short text on which the reuse of earlier blocks is compared with a plain pass
PROBE_TOKENS = 16
# logits of both may differ by this share of the largest one: rounding, not another computation
TOLERANCE = 1e-3


class Where(StrEnum):
    """Tokens at which neurons are 0; the first token is that of each text."""

    all = "all"
    first = "first"
    others = "others"

    @property
    def positions(self) -> slice:
        """Positions in a text."""
        return {Where.all: slice(None), Where.first: slice(0, 1), Where.others: slice(1, None)}[self]


@dataclass(frozen=True)
class Zeroing:
    """Neurons that are 0, as ascending columns of the layout, and the tokens at which they are."""

    neurons: tuple[int, ...] = ()
    where: Where = Where.all

    @property
    def name(self) -> str:
        """Name as in cached files, such as ``first:12+640``."""
        return f"{self.where.value}:{'+'.join(map(str, self.neurons))}"


@contextmanager
def zeroed(lm: LanguageModel, layout: NeuronLayout, edits: Sequence[Zeroing], n_texts: int) -> Iterator[None]:
    """Apply edits side by side to a batch that holds ``n_texts`` texts once for each of them, in order."""
    columns: dict[str, list[tuple[int, slice, list[int]]]] = {}
    for row, edit in enumerate(edits):
        for block, chosen in _by_block(layout, edit.neurons).items():
            columns.setdefault(block.path, []).append((row, edit.where.positions, chosen))
    touched = tuple(block for block in layout.blocks if block.path in columns)
    zero = _zeroing(columns, len(edits), n_texts)
    inner = NeuronLayout(layout.site, touched, layout.tokens_first)
    with marked_as_edited(lm.model), visited(lm.model, inner, zero):
        yield


def _by_block(layout: NeuronLayout, neurons: Sequence[int]) -> dict[Block, list[int]]:
    """Columns within each block that holds one of the neurons."""
    places = [layout.locate(neuron) for neuron in neurons]
    return {
        layout.blocks[index]: [place for other, place in places if other == index]
        for index in dict.fromkeys(index for index, _ in places)
    }


def _zeroing(columns: dict[str, list[tuple[int, slice, list[int]]]], n_edits: int, n_texts: int) -> Visitor:
    def zero(block: Block, activations: Tensor) -> Tensor:
        changed = activations.clone(memory_format=torch.contiguous_format)
        # texts × tokens × width, or (texts · tokens) × width: the order of the rows is the same
        rows = changed.view(n_edits, n_texts, -1, block.width)
        for row, positions, chosen in columns[block.path]:
            rows[row, :, positions, chosen] = 0
        return changed

    return zero


def losses(
    lm: LanguageModel,
    layout: NeuronLayout,
    ids: Sequence[Sequence[int]],
    edits: Sequence[Zeroing],
    batch_tokens: int,
) -> Array:
    """Negative log-likelihood of each text under each edit; ranks divide the edits.

    The blocks before the first one that an edit changes are not run again: they return what they returned in
    the untouched model, where that gives the same logits on a short text; else every pass is a whole one.

    Parameters
    ----------
    lm : LanguageModel
        The model; it is left as it was.
    layout : NeuronLayout
        Order of the neurons.
    ids : sequence of sequence of int
        Token ids of each text.
    edits : sequence of Zeroing
        Edits, each on its own.
    batch_tokens : int
        Largest number of tokens in a batch; edits of one block share it if several fit.

    Returns
    -------
    array of shape (edits, texts)
        Nats, summed over the tokens of each text after the first.
    """
    own = {"lm": ranks.Own("lm", lm)}
    return ranks.together(_losses, own, layout, list(ids), list(edits), batch_tokens)


def _losses(
    layout: NeuronLayout,
    ids: list[list[int]],
    edits: list[Zeroing],
    batch_tokens: int,
    lm: LanguageModel,
) -> Array:
    nats = np.zeros((len(edits), len(ids)))
    mine = ranks.share(range(len(edits)))
    lengths = [len(text) for text in ids]
    with torch.inference_mode():
        longest = ids[int(np.argmax(lengths))]
        earlier = _Earlier.of(lm, layout, [edits[index] for index in mine], longest)
        depths = {index: earlier.depth(edits[index]) for index in mine}
        groups = [
            (depth, list(indices))
            for depth, indices in itertools.groupby(sorted(mine, key=depths.__getitem__), depths.__getitem__)
        ]
        name = f"{len(edits)} edits" if len(edits) > 1 else "untouched"
        bar = tqdm(total=len(mine) * sum(lengths), desc=name, unit=" tokens", unit_scale=True, leave=False)
        with bar:
            for batch in length_batches(lengths, batch_tokens):
                padded, mask = (each.to(lm.device) for each in pad([ids[text] for text in batch], lm.pad_id))
                kept = earlier.kept(padded, mask, {depth for depth, _ in groups})
                size = max(1, batch_tokens // padded.numel())
                for depth, indices in groups:
                    for start in range(0, len(indices), size):
                        chunk = indices[start : start + size]
                        with earlier.reused(kept, depth, len(chunk)):
                            found = _nats(lm, layout, [edits[index] for index in chunk], padded, mask)
                        nats[np.ix_(chunk, batch)] = found
                        bar.update(len(chunk) * int(mask.sum()))
    return ranks.summed(nats, "losses without single neurons")


def _nats(
    lm: LanguageModel, layout: NeuronLayout, edits: Sequence[Zeroing], ids: Tensor, mask: Tensor
) -> Array:
    """Nats of each text of a batch under each edit, shape (edits, texts)."""
    copies, n_texts = len(edits), len(ids)
    with zeroed(lm, layout, edits, n_texts):
        logits = lm.logits(ids.repeat(copies, 1), mask.repeat(copies, 1))
    ids, mask = ids.to(logits.device), mask.to(logits.device)
    # one edit at a time: the largest temporary is as large as its logits
    parts = [nats_of(part, ids, mask).cpu().numpy() for part in logits.split(n_texts)]
    return np.stack(parts)


@dataclass(frozen=True, eq=False)
class _Earlier:
    """Decoder blocks before those with neurons of a layout, whose outputs need no second pass.

    Attributes
    ----------
    lm : LanguageModel
        The model.
    layout : NeuronLayout
        Order of the neurons.
    paths : tuple of str
        Decoder blocks in order; empty where every pass has to be a whole one.
    before : tuple of int
        Number of decoder blocks before the neurons of each block of the layout.
    """

    lm: LanguageModel
    layout: NeuronLayout
    paths: tuple[str, ...]
    before: tuple[int, ...]

    @classmethod
    def of(
        cls, lm: LanguageModel, layout: NeuronLayout, edits: Sequence[Zeroing], text: Sequence[int]
    ) -> "_Earlier":
        """Find the blocks, and leave them out where their reuse changes the logits of the text."""
        none = cls(lm, layout, (), (0,) * len(layout.blocks))
        try:
            root, blocks = decoder_blocks(lm.model)
        except LayoutError:
            return none
        paths = tuple(f"{root}.{index}" for index in range(len(blocks)))
        before = [enclosing(paths, block.path) or 0 for block in layout.blocks]
        found = cls(lm, layout, paths, tuple(before))
        if found._exact({found.depth(edit) for edit in edits} - {0}, text):
            return found
        log.info("blocks before a neuron cannot be reused in this architecture: every pass is a whole one")
        return none

    def depth(self, edit: Zeroing) -> int:
        """Number of decoder blocks that an edit leaves as they were."""
        return min((self.before[self.layout.locate(neuron)[0]] for neuron in edit.neurons), default=0)

    def kept(self, ids: Tensor, mask: Tensor, depths: set[int]) -> dict[int, Any]:
        """Output of the last of so many blocks in the untouched model, by their number."""
        wanted = {depth: self.paths[depth - 1] for depth in depths - {0}}
        if not wanted:
            return {}
        with kept_outputs(self.lm.model, list(wanted.values())) as outputs:
            self.lm.model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
        return {depth: outputs[path] for depth, path in wanted.items()}

    @contextmanager
    def reused(self, kept: dict[int, Any], depth: int, copies: int) -> Iterator[None]:
        """Let the first blocks return the kept output while the context is open."""
        with ExitStack() as stack:
            if depth > 0:
                dim = 1 if self.layout.tokens_first else 0
                # the output of the last one is all that later blocks see
                output = stacked(kept[depth], copies, dim)
                stack.enter_context(returning(self.lm.model, dict.fromkeys(self.paths[:depth], output)))
            yield

    def _exact(self, depths: set[int], text: Sequence[int]) -> bool:
        """True if the reuse of so many blocks gives the logits of a plain pass, for two copies of a text."""
        ids = torch.tensor([list(text)[:PROBE_TOKENS]], device=self.lm.device)
        mask = torch.ones_like(ids)
        plain = self.lm.logits(ids.repeat(2, 1), mask.repeat(2, 1))
        limit = TOLERANCE * plain.abs().max()
        try:
            kept = self.kept(ids, mask, depths)
            for depth in depths:
                with self.reused(kept, depth, 2):
                    again = self.lm.logits(ids.repeat(2, 1), mask.repeat(2, 1))
                if not (again - plain).abs().max() <= limit:
                    return False
        # what a block would have left elsewhere is missing, and an architecture says so in its own way
        except (RuntimeError, LookupError, TypeError, AttributeError, ValueError) as error:
            log.debug("reuse of blocks failed: %r", error)
            return False
        return True
