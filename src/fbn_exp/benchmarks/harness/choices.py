"""Log-likelihoods of choices from rows that share contexts, checked against lm-eval's own rows."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.benchmarks.harness import forward
from fbn_exp.benchmarks.harness.riders import Answer, Riders
from fbn_exp.benchmarks.harness.rows import (
    Request,
    Row,
    packed_batches,
    packed_rows,
    rows_of_contexts,
    trunk_batches,
)
from fbn_exp.benchmarks.harness.surroundings import BAR_DELAY
from fbn_exp.core import ranks
from fbn_exp.core.rows import Array

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

log = logging.getLogger(__name__)

# lm-eval's: (context, continuation) as text, then as token ids
Encoded = tuple[tuple[str, str], list[int], list[int]]
Plain = Callable[[Sequence[Encoded], bool], list[Answer]]

# what the difference of a token may amount to: roundings of the largest logit in the model's number format,
# and in float32, in which products are summed whatever the format; or else spreads of lm-eval's own rows
ROUNDINGS, IN_SUMS, SPREADS = 4, 64, 8


class Way(StrEnum):
    """How choices are scored."""

    packed = "packed"
    cached = "cached"
    rows = "rows"


INSTEAD = {
    Way.cached: "choices are scored with a shared cache of their context",
    Way.rows: "choices are scored in lm-eval's own rows",
}


class SharedContexts:
    """Scores choices with as few tokens as the model allows.

    The first rows of every run are compared with lm-eval's own. Where they cannot be made, or differ by more
    than rounding explains, the next way is taken from then on: packed rows, a shared cache of each context,
    lm-eval's own rows.

    Parameters
    ----------
    harness : HFLM
        Holds the model.

    Attributes
    ----------
    way : Way
        How choices are scored from now on.
    remarks : list of str
        Why it is not by packed rows.
    """

    def __init__(self, harness: "HFLM") -> None:
        self.harness = harness
        self.way = Way.packed
        self.remarks: list[str] = []
        self._encoded: list[Encoded] = []
        self._requests: list[Request] = []
        self._size = 0
        self._largest = 0.0
        self._plans: dict[Way, list[Row]] = {}
        self._obstacle = forward.obstacle_to_packing(harness.model)
        self._riders: Riders | None = None
        self._may_ride = True

    def answers(
        self, encoded: Sequence[Encoded], plain: Plain, quiet: bool, riders: Riders | None = None
    ) -> list[Answer]:
        """Answer requests, whichever way is taken.

        Parameters
        ----------
        encoded : sequence of Encoded
            The requests.
        plain : callable
            Answers requests in lm-eval's own rows; the second argument tells whether it is aside, to compare.
        quiet : bool
            Whether there is no progress bar.
        riders : Riders, optional
            Edits that are to share batches, none of which is on the model; answers are those under the edit
            whose turn it is. Otherwise the model is taken as it stands.
        """
        if riders is not None and (known := riders.known(encoded)) is not None:
            return known
        self._riders = riders
        try:
            answers = self._answers(encoded, plain, quiet)
        finally:
            self._riders = None
        if riders is None or len(answers) == len(encoded):
            return answers
        riders.keep(encoded, answers)
        return answers[len(encoded) * riders.turn :][: len(encoded)]

    @property
    def _copies(self) -> int:
        """Number of edits that share batches now."""
        return 1 if self._riders is None or not self._may_ride else len(self._riders)

    def _edited(self) -> AbstractContextManager[None]:
        """Context of a forward pass over ``_copies`` copies of some rows."""
        if self._riders is None:
            return nullcontext()
        return self._riders.alone() if self._copies == 1 else self._riders.together()

    def _answers(self, encoded: Sequence[Encoded], plain: Plain, quiet: bool) -> list[Answer]:
        """Answers in order, those of all edits that share batches; those of one edit in lm-eval's rows."""
        # lm-eval refuses these; all ranks go the same way
        longest = self.harness.max_length
        refused = not all(context and 0 < len(words) <= longest for _, context, words in encoded)
        if any(ranks.gathered(refused, "checks of requests")):
            return plain(encoded, False)
        while self.way is not Way.rows:
            answers = self._obstacle or self._tried(encoded, plain)
            # all ranks go the same way
            reasons = ranks.gathered(answers if isinstance(answers, str) else None, "checks of packed rows")
            if reason := next(filter(None, reasons), None):
                self._fall_back(reason)
                continue
            assert isinstance(answers, dict)
            return self._with_others(answers, quiet)
        return plain(encoded, False)

    def _plan(self, encoded: Sequence[Encoded]) -> None:
        """Pack requests; those of the last time, as in a sweep, are packed already."""
        if list(encoded) != self._encoded:
            longest = self.harness.max_length
            self._requests = [Request.of(context, words, longest) for _, context, words in encoded]
            self._encoded, self._plans = list(encoded), {}
            self._size = self._batch_size()
            if cut := sum(len(context) + len(words) > longest + 1 for _, context, words in encoded):
                log.warning("%d of %d requests are cut on the left to %d tokens", cut, len(encoded), longest)
        if self.way not in self._plans and self.way is Way.packed:
            config = forward.text_config(self.harness.model)
            # a token takes 24 d² operations in linear maps, and 4 d to be compared with another
            reach = 6 * int(getattr(config, "hidden_size", 512))
            rows = packed_rows(self._requests, self.harness.max_length, reach)
            self._plans[self.way] = rows
            tokens, packed = sum(len(each.tokens) for each in self._requests), sum(map(len, rows))
            log.info(
                "%d requests of %d tokens are packed into %d rows of %d",
                len(encoded),
                tokens,
                len(rows),
                packed,
            )
        elif self.way not in self._plans:
            self._plans[self.way] = rows_of_contexts(self._requests)

    def _batch_size(self) -> int:
        """Sequences at once; measured where lm-eval would measure it."""
        size = self.harness.batch_size
        if size != "auto":
            return int(size)
        longest = max(self._requests, key=lambda request: len(request.tokens))
        return int(self.harness._detect_batch_size([(None, list(longest.tokens), [0])]))

    def _batches(self) -> list[Sequence[Row]]:
        """Batches of rows, first that with the longest row in which there is something to share."""
        rows = self._plans[self.way]
        if self.way is Way.packed:
            longest = max(len(request.tokens) for request in self._requests)
            batches = list(packed_batches(rows, self._size * longest))
        else:
            batches = list(trunk_batches(rows, self._size))
        return sorted(batches, key=lambda batch: not any(len(row.sequences) > 1 for row in batch))

    def _tried(self, encoded: Sequence[Encoded], plain: Plain) -> dict[int, Answer] | str:
        """Answers from the first batch, or what is wrong with them."""
        self._plan(encoded)
        rows = self._batches()[0]
        try:
            answers = dict(self._scored(rows, first=True))
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # a model that cannot may raise anything
            return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        row = next((row for row in rows if len(row.sequences) > 1), rows[0])
        # the last one sees tokens far back
        members = sorted({row.members[0], row.members[-1]})
        for copy in sorted({0, self._copies - 1}):
            own = _values([answers[self._number(copy, member)] for member in members])
            if reason := self._off(own, [encoded[member] for member in members], plain, copy):
                return reason
        return answers

    def _number(self, copy: int, member: int) -> int:
        """Number of an answer among all: those of the first copy of the requests come first."""
        return copy * len(self._requests) + member

    def _off(self, own: Array, compared: Sequence[Encoded], plain: Plain, copy: int) -> str | None:
        """Say by how much values differ from those of lm-eval's rows, None if by rounding at most."""
        riding = self._riders if self._copies > 1 else None
        with nullcontext() if riding is None else riding.turn_of(copy):
            lm_eval = _values(plain(compared, True))
            off = _difference(own, lm_eval)
            own_eps, eps = (torch.finfo(each).eps for each in (self.harness.model.dtype, torch.float32))
            rounding = self._largest * (ROUNDINGS * own_eps + IN_SUMS * eps)
            if (off <= rounding * np.sqrt([len(words) for *_, words in compared])).all():
                return None
            # how much lm-eval's numbers differ with the rows beside them
            spread = _difference(_values([plain([each], True)[0] for each in compared]), lm_eval).max()
        if (off <= SPREADS * spread).all():
            return None
        return f"log-likelihoods are {off.max():.2g} nats off those of lm-eval's own rows"

    def _fall_back(self, reason: str) -> None:
        if self._copies > 1 and not self._obstacle:
            self._may_ride = False
            remark = f"benchmark.edits_per_batch: one edit per batch ({reason})."
        else:
            self._obstacle = None
            what = "packed rows" if self.way is Way.packed else "shared cache"
            self.way = Way.cached if self.way is Way.packed else Way.rows
            remark = f"benchmark.packed: no {what} ({reason}): {INSTEAD[self.way]}."
        log.warning("%s", remark)
        self.remarks.append(remark)

    def _with_others(self, answers: dict[int, Answer], quiet: bool) -> list[Answer]:
        """Answers to all requests, those of the first batch being there already."""
        hidden = quiet or self.harness.rank != 0
        settings: dict[str, Any] = {
            "unit": " requests",
            "leave": False,
            "delay": BAR_DELAY,
            "disable": hidden,
        }
        total = self._copies * len(self._requests)
        with tqdm(total=total, desc="choices", **settings) as bar:
            bar.update(len(answers))
            for batch in self._batches()[1:]:
                answers.update(self._scored(batch))
                bar.update(self._copies * sum(len(row.members) for row in batch))
        return [answers[number] for number in range(total)]

    def _scored(self, rows: Sequence[Row], first: bool = False) -> Iterator[tuple[int, Answer]]:
        """Answers from some rows, by ``_number``; from the first rows also the largest logit."""
        compute = forward.packed_logits if self.way is Way.packed else forward.cached_logits
        with torch.inference_mode():
            with self._edited():
                logits = compute(self.harness.model, [*rows] * self._copies, self.harness.device)
            if first:
                self._largest = float(logits.abs().max()) if logits.isfinite().all() else 0.0
            for copy, own in enumerate(logits.chunk(self._copies)):
                log_likelihoods = own.log_softmax(dim=-1, dtype=self.harness.softmax_dtype)
                for member, answer in self._read(rows, log_likelihoods):
                    yield self._number(copy, member), answer

    def _read(self, rows: Sequence[Row], log_likelihoods: Tensor) -> Iterator[tuple[int, Answer]]:
        members = [member for row in rows for member in row.members]
        targets: Any = [self._requests[member].targets for member in members]
        lengths = [len(each) for each in targets]
        at = []
        for row, offset in zip(rows, forward.offsets(rows), strict=True):
            number = {place: offset + n for n, place in enumerate(row.wanted)}
            at += [number[place] for places in row.places for place in places]
        words = torch.tensor([word for each in targets for word in each], device=log_likelihoods.device)
        nats = log_likelihoods[at, words].cpu().split(lengths)
        greedy = (log_likelihoods.argmax(dim=-1)[at] == words).cpu().split(lengths)
        for member, own, right in zip(members, nats, greedy, strict=True):
            yield member, (float(own.sum()), bool(right.all()))


def _values(answers: Sequence[Answer]) -> Array:
    return np.array([value for value, _ in answers], dtype=np.float64)


def _difference(one: Array, other: Array) -> Array:
    """Absolute differences; 0 where both are the same that is no number, infinite where one alone is."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(one - other))
    return np.nan_to_num(difference, nan=np.inf, posinf=np.inf)
