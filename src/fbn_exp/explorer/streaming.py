"""Iterate over what a thread says."""

from collections.abc import Callable, Iterator
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")


def streamed(work: Callable[[Callable[[T], None], Event], None]) -> Iterator[T]:
    """Yield what work says, as it says it; what it raises is raised here.

    The work is alone responsible for what it holds, such as hooks on a model: it ends by itself also where
    nobody iterates to the end.

    Parameters
    ----------
    work : callable
        Takes a function to say something, and an event that is set when nobody listens any more.
    """
    said: Queue[tuple[T] | BaseException | None] = Queue()
    abandoned = Event()

    def run() -> None:
        try:
            work(lambda value: said.put((value,)), abandoned)
        except BaseException as error:
            said.put(error)
        else:
            said.put(None)

    Thread(target=run, daemon=True).start()
    try:
        while (item := said.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        abandoned.set()
