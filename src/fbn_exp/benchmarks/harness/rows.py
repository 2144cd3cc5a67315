"""Rows in which sequences share what they begin with: a context once, then each choice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

# longest packed row: its mask and its attention grow with the square
LONGEST_ROW = 2048
# rows are filled up to where a token's comparisons cost this fraction of its linear maps
COMPARED = 16
# a batch of this many tokens takes no longer per token than a larger one, on a processor
ENOUGH = 512


@dataclass(frozen=True, order=True)
class Request:
    """Continuation to be scored after a context.

    Attributes
    ----------
    tokens : tuple of int
        What the model reads: context and continuation without its last token, cut on the left to the longest
        length that the model takes.
    targets : tuple of int
        The continuation, whose tokens the last places of ``tokens`` predict.
    """

    tokens: tuple[int, ...]
    targets: tuple[int, ...]

    @classmethod
    def of(cls, context: Sequence[int], continuation: Sequence[int], max_length: int) -> "Request":
        """Cut a context and a continuation as lm-eval does."""
        return cls(
            tuple([*context, *continuation][-(max_length + 1) :][:-1]),
            tuple(continuation),
        )

    @property
    def context(self) -> tuple[int, ...]:
        """Tokens before the first that belongs to the continuation."""
        return self.tokens[: len(self.tokens) - len(self.targets) + 1]


@dataclass
class Row:
    """Tree of token sequences, written in one row, each branch after what it continues.

    A token sees the tokens from the root down to itself. A place's subtree lies without a gap behind it, so
    place q sees place p if p ≤ q < ``ends[p]``.

    Attributes
    ----------
    tokens, positions, ends : list of int
        Of each place: its token, its position in its own sequences, and the place behind its subtree.
    members : list of int
        Requests in this row, as indices.
    places : list of list of int
        Of each member the places that predict its targets.
    sequences : list of tuple of int
        The different sequences, in order.
    paths : list of list of int
        Of each sequence the places of its tokens.
    """

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    sequences: list[tuple[int, ...]] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)

    def shared_with(self, tokens: Sequence[int]) -> int:
        """Number of tokens that a sequence shares with the last one."""
        return common_length(self.sequences[-1], tokens) if self.sequences else 0

    def add(self, member: int, request: Request) -> None:
        """Add a request; requests come in the order of their tokens."""
        if not self.sequences or self.sequences[-1] != request.tokens:
            self._branch(request.tokens)
        self.members.append(member)
        self.places.append(self.paths[-1][-len(request.targets) :])

    def _branch(self, tokens: tuple[int, ...]) -> None:
        shared = self.shared_with(tokens)
        start = len(self)
        end = start + len(tokens) - shared
        path = [*(self.paths[-1][:shared] if shared else ()), *range(start, end)]
        self.tokens += tokens[shared:]
        self.positions += range(shared, len(tokens))
        self.ends += [end] * (end - start)
        for place in path:
            self.ends[place] = end
        self.sequences.append(tokens)
        self.paths.append(path)

    def joined(self, other: "Row") -> "Row":
        """Row that holds two, one behind the other."""
        start = len(self)
        return Row(
            self.tokens + other.tokens,
            self.positions + other.positions,
            self.ends + [start + end for end in other.ends],
            self.members + other.members,
            self.places + [[start + place for place in places] for places in other.places],
            self.sequences + other.sequences,
            self.paths + [[start + place for place in path] for path in other.paths],
        )

    @cached_property
    def trunk(self) -> int:
        """Number of tokens that all sequences begin with; not before the row is complete."""
        return common_length(self.sequences[0], self.sequences[-1])

    @cached_property
    def wanted(self) -> list[int]:
        """Places whose predictions are needed, in order; not before the row is complete."""
        return sorted({place for places in self.places for place in places})


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of tokens that two sequences begin with in common."""
    most = min(len(one), len(other))
    return next((place for place in range(most) if one[place] != other[place]), most)


def packed_rows(requests: Sequence[Request], max_length: int, reach: int) -> list[Row]:
    """Pack requests into rows, longest row first.

    Sequences are taken in order, so that neighbours share the most. One is added to the row of its neighbour
    while that is cheaper than a row of its own: a row of L tokens costs L · (``reach`` + L), since every
    token passes the linear maps, and is compared with every other. Short rows are then put one behind the
    other, which costs less than to pad them.

    Parameters
    ----------
    requests : sequence of Request
        What is to be scored.
    max_length : int
        No row is longer than this, nor than ``LONGEST_ROW``, if its sequences are not.
    reach : int
        Number of tokens whose comparison with one token costs as much as the linear maps of that token.
    """
    longest = min(max_length, LONGEST_ROW)
    rows: list[Row] = []
    for member in sorted(range(len(requests)), key=requests.__getitem__):
        tokens = requests[member].tokens
        if rows:
            length, own = len(rows[-1]), len(tokens)
            new = own - rows[-1].shared_with(tokens)
            added = (length + new) * (reach + length + new) - length * (reach + length)
            if new == 0 or (length + new <= longest and added <= own * (reach + own)):
                rows[-1].add(member, requests[member])
                continue
        rows.append(Row())
        rows[-1].add(member, requests[member])
    rows.sort(key=len, reverse=True)
    return filled(rows, min(longest, max(len(rows[0]), reach // COMPARED)))


def filled(rows: Sequence[Row], width: int) -> list[Row]:
    """Join rows, longest first, to rows of at most ``width`` tokens, if they are not longer (first fit)."""
    full: list[Row] = []
    open_rows: list[Row] = []
    shortest = min(map(len, rows))
    for row in rows:
        place = next((n for n, each in enumerate(open_rows) if len(each) + len(row) <= width), None)
        longer = row if place is None else open_rows.pop(place).joined(row)
        (open_rows if len(longer) + shortest <= width else full).append(longer)
    return sorted(full + open_rows, key=len, reverse=True)


def rows_of_contexts(requests: Sequence[Request]) -> list[Row]:
    """Put requests of equal context into one row; rows whose sequences share equally many tokens in turn."""
    rows: dict[tuple[int, ...], Row] = {}
    for member in sorted(range(len(requests)), key=requests.__getitem__):
        rows.setdefault(requests[member].context, Row()).add(member, requests[member])
    return sorted(rows.values(), key=lambda row: (row.trunk, len(row)), reverse=True)


def packed_batches(rows: Sequence[Row], budget: int) -> Iterator[Sequence[Row]]:
    """Divide rows, longest first, into batches of ``budget`` tokens with padding; at least a row each.

    A batch of enough tokens ends before a row that would be padded by more than an eighth.
    """
    start = 0
    while start < len(rows):
        length = len(rows[start])
        stop = start + max(1, budget // length)
        enough = start + ENOUGH // length + 1
        stop = next((n for n in range(enough, min(stop, len(rows))) if 8 * len(rows[n]) < 7 * length), stop)
        yield rows[start:stop]
        start = stop


def trunk_batches(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """Divide rows into batches of equal trunks, of at most ``size`` sequences; at least a row each."""
    for _, equal in groupby(rows, key=lambda row: row.trunk):
        batch: list[Row] = []
        for row in equal:
            if batch and sum(len(each.sequences) for each in [*batch, row]) > size:
                yield batch
                batch = []
            batch.append(row)
        yield batch
