"""The page: what is shown where, and which function answers."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from markupsafe import escape

from fbn_exp.core.errors import FbnError
from fbn_exp.explorer import markup
from fbn_exp.explorer.reading import Order, ordered
from fbn_exp.explorer.workbench import Workbench

P = ParamSpec("P")
R = TypeVar("R")

EXAMPLES = (
    "The river rises in the mountains, flows north for 120 miles, and ends in a lake near the border.",
    "She said that the keys to the cabinet were on the table, but nobody had seen them since 1984.",
    "def total(prices):\n    return sum(price for price in prices if price > 0)",
)
# calls of the model wait for one another
QUEUE: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}


def answered(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function of the page: errors that a user can act on are shown, without markup."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except FbnError as error:
            raise gr.Error(str(escape(str(error))), print_exception=False) from error

    return wrapped


def page(bench: Workbench) -> gr.Blocks:
    """Build the page of a workbench."""
    with gr.Blocks(title=f"Networks of {bench.lm.name}", analytics_enabled=False) as blocks:
        gr.HTML(markup.head(bench))
        text = gr.Textbox(EXAMPLES[0], label="Text", lines=3, max_lines=12, elem_id="text")
        gr.Examples([[each] for each in EXAMPLES], text, label="Texts to begin with")
        with gr.Tabs(), gr.Tab("Time courses"):
            _courses(bench, blocks, text)
    return blocks


def _courses(bench: Workbench, blocks: gr.Blocks, text: gr.Textbox) -> None:
    """Part that shows time courses over one or two texts."""
    with gr.Accordion("Compare with another text", open=False):
        second = gr.Textbox("", label="Second text", lines=3, max_lines=12, elem_id="second-text")
        by = gr.Radio([each.value for each in Order], value=Order.first.value, label="Strongest in")
    shown = gr.HTML(elem_id="courses")
    many = len(bench.networks) > markup.ROWS
    with gr.Row(visible=many):
        before = gr.Button("Stronger", size="sm")
        after = gr.Button("Weaker", size="sm")
    number = gr.State(0)

    @answered
    def read(first: str | None, other: str | None, rule: str, place: int = 0) -> tuple[str, int]:
        texts = [first or ""] + ([other] if other and other.strip() else [])
        readings = [bench.read(each) for each in texts]
        order = ordered(readings[0], readings[1] if len(readings) == 2 else None, Order(rule))
        last = (len(order) - 1) // markup.ROWS
        place = min(max(place, 0), last)
        return markup.courses(bench, readings, order, place), place

    def turn(step: int, first: str, other: str, rule: str, place: int) -> tuple[str, int]:
        return read(first, other, rule, place + step)

    inputs, outputs = [text, second, by], [shown, number]
    live: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden", **QUEUE}
    gr.on([blocks.load, text.change, second.change, by.change], read, inputs, outputs, **live)
    turned = {before: -1, after: 1}
    for button, step in turned.items():
        button.click(functools.partial(turn, step), [*inputs, number], outputs, **live)
