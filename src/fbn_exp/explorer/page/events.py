"""What all functions that answer the page have in common."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from markupsafe import escape

from fbn_exp.core.errors import FbnError

# calls of the model wait for one another
QUEUE: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}


def answered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of the page: errors that a user can act on are shown, without templates."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def yielding(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with _shown_errors():
                yield from function(*args, **kwargs)

        return yielding

    @functools.wraps(function)
    def returning(*args: Any, **kwargs: Any) -> Any:
        with _shown_errors():
            return function(*args, **kwargs)

    return returning


@contextmanager
def _shown_errors() -> Iterator[None]:
    try:
        yield
    except FbnError as error:
        # a message can hold what somebody typed, and is shown as html
        raise gr.Error(str(escape(str(error))), print_exception=False) from error
