"""Processes of one job (ranks): rank 0 leads and alone writes, the others help where it asks them to.

Rank 0 runs a stage as a single process would: it alone looks into caches, holds their locks, decomposes,
writes the run folder and the tracker. Where work can be divided it calls :func:`together`: the same function
then runs on every rank, each with its own model, and :func:`share` and :func:`gathered` divide and collect.
The other ranks wait in :func:`led` for such calls. Rank 0 says regularly that it lives, so that every wait
can have a timeout, however long rank 0 works alone.
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
from numpy.typing import NDArray

from fbn_exp.core.errors import AbsentRankError, LaunchError

T = TypeVar("T")
Array = NDArray[np.float64]

# prefix of folders that ranks share for a while; a rank that is killed leaves them to the starter
SCRATCH = "ranks-"
_ALIVE, _DONE = "alive", "done"


@dataclass
class _Team:
    """The ranks of this job, over a gloo group of their own: it carries Python objects only."""

    rank: int
    size: int
    group: Any
    seconds: float
    # one conversation at a time: the main thread's, or the sign of life
    talking: threading.RLock = field(default_factory=threading.RLock)
    together: bool = False


_team: _Team | None = None


def join(timeout_seconds: float) -> None:
    """Become one of the ranks that the environment describes; nothing happens in a single process.

    Raises
    ------
    AbsentRankError
        If not all ranks come within the timeout.
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
            raise LaunchError(f"accelerate counts {state.num_processes} processes, {size} were started")
        group = dist.new_group(backend="gloo", timeout=timeout)
    except RuntimeError as error:
        raise AbsentRankError(
            f"rank {os.environ.get('RANK')} of {size} did not meet the others within "
            f"{timeout_seconds:.0f} s: {str(error).splitlines()[0]}"
        ) from error
    _team = _Team(state.process_index, size, group, timeout_seconds)


def leave() -> None:
    """Give the connections to the other ranks up."""
    global _team
    if _team is None:
        return
    import torch.distributed as dist

    _team = None
    dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process writes: rank 0, or a process alone."""
    return _team is None or _team.rank == 0


def count() -> int:
    """Number of ranks of this job."""
    return 1 if _team is None else _team.size


def rank_and_size() -> tuple[int, int]:
    """Place among those that compute this together; 0 of 1 outside of :func:`together`."""
    return (_team.rank, _team.size) if _team is not None and _team.together else (0, 1)


def share(items: Sequence[T]) -> Sequence[T]:
    """Part that this rank has of a list that all ranks have: all of it outside of :func:`together`."""
    rank, size = rank_and_size()
    return items[rank::size]


def gathered(value: T, what: str) -> list[T]:
    """Value of every rank, in their order, on every rank; ``what`` is said where one is missing."""
    if _team is None or not _team.together:
        return [value]
    import torch.distributed as dist

    _meet(what)
    found: list[Any] = [None] * _team.size
    dist.all_gather_object(found, value, group=_team.group)
    return found


def summed(values: Array, what: str) -> Array:
    """Sum over ranks of arrays that are 0 wherever another rank has computed."""
    return np.sum(gathered(values, what), axis=0) if rank_and_size()[1] > 1 else values


@dataclass(frozen=True)
class Own:
    """What every rank has of its own, such as the model: only its name is sent."""

    name: str
    value: Any


def together(function: Callable[..., T], own: Mapping[str, Own], *args: Any) -> T:
    """Run a function on every rank, and return what it returns on rank 0.

    Parameters
    ----------
    function : callable
        Of a module, so that every rank can name it. Called with ``args``, and ``own`` by keyword.
    own : mapping
        What every rank has of its own, by keyword; other ranks find theirs by its name.
    *args : object
        Sent to every rank.

    Raises
    ------
    AbsentRankError
        If a rank does not answer within the timeout; it is named.
    """
    values = {keyword: each.value for keyword, each in own.items()}
    if _team is None or _team.together:
        return function(*args, **values)
    assert _team.rank == 0, "only rank 0 leads"
    with _team.talking:
        _send((function, {keyword: each.name for keyword, each in own.items()}, args))
        return _joined(function, values, args)


def run_on_leader(work: Callable[[], T], own: Callable[[str], Any]) -> T | None:
    """Let rank 0 do ``work`` and the other ranks help it; all return what it returned.

    Parameters
    ----------
    work : callable
        What a single process would do.
    own : callable
        Gives what this rank has of its own, by its name.

    Raises
    ------
    AbsentRankError
        On a rank that hears nothing from rank 0 within the timeout.
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
    """Let a thread tell the others now and then that rank 0 works on something of its own."""
    assert _team is not None
    team, ended = _team, threading.Event()

    def tell() -> None:
        while not ended.wait(min(30.0, team.seconds / 4)):
            with team.talking:
                # a rank that does not answer is named when it is needed
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
    """Wait for all ranks; those that do not come are named."""
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
