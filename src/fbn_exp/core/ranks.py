"""Processes of one job (ranks): rank 0 leads and is the only one to write, the others compute on request.

Rank 0 runs a stage as a single process would: only rank 0 reads caches, holds their locks, decomposes, and
writes the run folder and the tracker. To divide work it calls :func:`together`: the same function then runs
on every rank, with that rank's copy of the model, and :func:`share` and :func:`gathered` divide and collect.
The other ranks wait for such calls in :func:`run_on_leader`. Rank 0 regularly sends a sign of life, so that
every wait can have a timeout, however long rank 0 works alone.
"""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np

from fbn_exp.core.errors import AbsentRankError, LaunchError
from fbn_exp.core.rows import Array

T = TypeVar("T")

# prefix of temporary folders that ranks share; the launcher removes those that a killed rank leaves behind
SCRATCH = "ranks-"
_ALIVE, _DONE = "alive", "done"


@dataclass
class _Team:
    """The ranks of this job, connected by a separate gloo group that carries Python objects only."""

    rank: int
    size: int
    group: Any
    seconds: float
    # one exchange at a time: the main thread's, or the sign of life
    talking: threading.RLock = field(default_factory=threading.RLock)
    together: bool = False


_team: _Team | None = None


def join(timeout_seconds: float) -> None:
    """Join the ranks that the environment describes; does nothing in a single process.

    Raises
    ------
    AbsentRankError
        If some rank does not join within the timeout.
    """
    global _team
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or _team is not None:
        return
    import torch.distributed as dist
    from accelerate import PartialState

    timeout = timedelta(seconds=timeout_seconds)
    try:
        on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() == "true"
        state = PartialState(cpu=on_cpu, timeout=timeout)
        if state.num_processes != size:
            raise LaunchError(
                f"accelerate sees {state.num_processes} processes, but {size} were started (WORLD_SIZE): "
                "check the environment of the launcher"
            )
        group = dist.new_group(backend="gloo", timeout=timeout)
    except RuntimeError as error:
        raise AbsentRankError(
            f"rank {os.environ.get('RANK')} of {size} did not meet the others within "
            f"{timeout_seconds:.0f} s: {str(error).splitlines()[0]}"
        ) from error
    _team = _Team(state.process_index, size, group, timeout_seconds)


def leave() -> None:
    """Close the connections to the other ranks."""
    global _team
    if _team is None:
        return
    import torch.distributed as dist

    _team = None
    dist.destroy_process_group()


def is_first() -> bool:
    """True if this process writes: it is rank 0, or the only process."""
    return _team is None or _team.rank == 0


def count() -> int:
    """Number of ranks of this job."""
    return 1 if _team is None else _team.size


def rank_and_size() -> tuple[int, int]:
    """Index of this rank and number of ranks that share the current work; (0, 1) outside :func:`together`."""
    return (_team.rank, _team.size) if _team is not None and _team.together else (0, 1)


def share(items: Sequence[T]) -> Sequence[T]:
    """Items of a common list that this rank handles; all of them outside :func:`together`."""
    rank, size = rank_and_size()
    return items[rank::size]


def gathered(value: T, what: str) -> list[T]:
    """Values of all ranks in rank order, on every rank; ``what`` names the values if a rank is missing."""
    if _team is None or not _team.together:
        return [value]
    import torch.distributed as dist

    _meet(what)
    values: list[Any] = [None] * _team.size
    dist.all_gather_object(values, value, group=_team.group)
    return values


def summed(values: Array, what: str) -> Array:
    """Sum over ranks of arrays that are 0 in entries that other ranks computed."""
    return np.sum(gathered(values, what), axis=0) if rank_and_size()[1] > 1 else values


@dataclass(frozen=True)
class Own:
    """Object that every rank holds a copy of, such as the model: only its name is sent."""

    name: str
    value: Any


def together(function: Callable[..., T], own: Mapping[str, Own], *args: Any) -> T:
    """Run a function on every rank, and return its result on rank 0.

    Parameters
    ----------
    function : callable
        Function at the top level of a module, so that it can be pickled. Called with ``args``, and with the
        objects in ``own`` by keyword.
    own : mapping
        Objects that every rank holds a copy of, by keyword; other ranks look up their copy by its name.
    *args : object
        Further arguments, sent to every rank.

    Raises
    ------
    AbsentRankError
        If a rank does not answer within the timeout; the message names it.
    """
    values = {keyword: held.value for keyword, held in own.items()}
    if _team is None or _team.together:
        return function(*args, **values)
    assert _team.rank == 0, "only rank 0 leads"
    with _team.talking:
        _send((function, {keyword: held.name for keyword, held in own.items()}, args))
        return _joined(function, values, args)


def run_on_leader(work: Callable[[], T], own: Callable[[str], Any]) -> T | None:
    """Run ``work`` on rank 0 while the other ranks serve its calls; all ranks return the result of ``work``.

    Parameters
    ----------
    work : callable
        The whole work, as a single process would do it.
    own : callable
        Looks up this rank's copy of an object by name.

    Raises
    ------
    AbsentRankError
        On a rank that receives nothing from rank 0 within the timeout.
    """
    if _team is None:
        return work()
    if _team.rank > 0:
        return _helped(own)
    with _signs_of_life():
        result = work()
    with _team.talking:
        _send((_DONE, {}, result))
    return result


def _helped(own: Callable[[str], Any]) -> Any:
    while True:
        order, names, args = _receive()
        if order == _DONE:
            return args
        if order != _ALIVE:
            _joined(order, {keyword: own(name) for keyword, name in names.items()}, args)


def _joined(function: Callable[..., T], own: Mapping[str, Any], args: Any) -> T:
    assert _team is not None
    _team.together = True
    try:
        return function(*args, **own)
    finally:
        _team.together = False


@contextlib.contextmanager
def _signs_of_life() -> Iterator[None]:
    """Send the other ranks regular signs of life from a thread while rank 0 works alone."""
    assert _team is not None
    team, ended = _team, threading.Event()

    def tell() -> None:
        while not ended.wait(min(30.0, team.seconds / 4)):
            with team.talking:
                # a rank that does not answer is reported when it is next needed
                if ended.is_set():
                    return
                try:
                    _send((_ALIVE, {}, None))
                except LaunchError:
                    return

    thread = threading.Thread(target=tell, name="signs-of-life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _send(order: Any) -> None:
    import torch.distributed as dist

    assert _team is not None
    _meet("what rank 0 asks for")
    dist.broadcast_object_list([order], src=0, group=_team.group)


def _receive() -> Any:
    import torch.distributed as dist

    assert _team is not None
    _meet("what rank 0 asks for")
    received: list[Any] = [None]
    dist.broadcast_object_list(received, src=0, group=_team.group)
    return received[0]


def _meet(what: str) -> None:
    """Wait for all ranks; an error names the missing ones."""
    import torch.distributed as dist

    assert _team is not None
    started = time.monotonic()
    try:
        dist.monitored_barrier(
            group=_team.group, timeout=timedelta(seconds=_team.seconds), wait_all_ranks=True
        )
    except RuntimeError as error:
        timed_out = time.monotonic() - started > 0.9 * _team.seconds
        raise AbsentRankError(_missing(_team, what, str(error), timed_out)) from error


def _missing(team: _Team, what: str, reason: str, timed_out: bool) -> str:
    if team.rank > 0:
        who = "0"
    else:
        named = re.search(r"[Rr]anks? (\d+(?:, *\d+)*) failed to pass", reason)
        who = named.group(1) if named else ", ".join(map(str, range(1, team.size)))
    limit = f"launch.timeout_minutes={team.seconds / 60:g}"
    happened = f"did not answer within {limit}" if timed_out else "died"
    return f"rank {who} of {team.size} {happened} (rank {team.rank} waited for {what}); its log may say why"
