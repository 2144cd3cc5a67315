"""The page: what is shown where, and which function answers."""

import functools
from typing import Any

import gradio as gr

from fbn_exp.explorer.page.events import QUEUE, answered
from fbn_exp.explorer.page.intervene import intervene
from fbn_exp.explorer.reading import Order, ordered
from fbn_exp.explorer.shown import templates
from fbn_exp.explorer.shown.cards import card, strongest_text
from fbn_exp.explorer.workbench import Workbench

EXAMPLES = (
    "The river rises in the mountains, flows north for 120 miles, and ends in a lake near the border.",
    "She said that the keys to the cabinet were on the table, but nobody had seen them since 1984.",
    "def total(prices):\n    return sum(price for price in prices if price > 0)",
)


def page(bench: Workbench) -> gr.Blocks:
    """Build the page of a workbench."""
    with gr.Blocks(title=f"Networks of {bench.lm.name}", analytics_enabled=False) as blocks:
        gr.HTML(templates.head(bench))
        text = gr.Textbox(EXAMPLES[0], label="Text", lines=2, max_lines=12, elem_id="text")
        gr.Examples([[each] for each in EXAMPLES], text, label="Texts to begin with")
        with gr.Tabs() as tabs:
            with gr.Tab("Time courses", id="courses"):
                _courses(bench, blocks, text)
            with gr.Tab("Networks", id="networks"):
                number, acting = _cards(bench, blocks, text)
            with gr.Tab("Intervene", id="intervene"):
                chosen = intervene(bench, text)
        acting.click(
            lambda network: (gr.Tabs(selected="intervene"), [network]), number, [tabs, chosen], **_PLAIN
        )
    return blocks


_PLAIN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def _courses(bench: Workbench, blocks: gr.Blocks, text: gr.Textbox) -> None:
    """Part that shows time courses over one or two texts."""
    with gr.Accordion("Compare with another text", open=False):
        second = gr.Textbox("", label="Second text", lines=2, max_lines=12, elem_id="second-text")
        by = gr.Radio([each.value for each in Order], value=Order.first.value, label="Strongest in")
    shown = gr.HTML(elem_id="courses")
    with gr.Row(visible=len(bench.networks) > templates.ROWS):
        before = gr.Button("Stronger", size="sm")
        after = gr.Button("Weaker", size="sm")
    number = gr.State(0)

    @answered
    def read(first: str | None, other: str | None, rule: str, place: int = 0) -> tuple[str, int]:
        texts = [first or ""] + ([other] if other and other.strip() else [])
        readings = [bench.read(each) for each in texts]
        order = ordered(readings[0], readings[1] if len(readings) == 2 else None, Order(rule))
        place = min(max(place, 0), (len(order) - 1) // templates.ROWS)
        return templates.courses(bench, readings, order, place), place

    def turn(step: int, first: str, other: str, rule: str, place: int) -> tuple[str, int]:
        turned: tuple[str, int] = read(first, other, rule, place + step)
        return turned

    inputs, outputs = [text, second, by], [shown, number]
    live: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden", **QUEUE}
    gr.on([blocks.load, text.change, second.change, by.change], read, inputs, outputs, **live)
    for button, step in {before: -1, after: 1}.items():
        button.click(functools.partial(turn, step), [*inputs, number], outputs, **live)


def _cards(bench: Workbench, blocks: gr.Blocks, text: gr.Textbox) -> tuple[gr.Dropdown, gr.Button]:
    """Part that shows the card of a network; returns the field of its number, and the button to act on it."""
    names = [(bench.name(index), index) for index in range(len(bench.networks))]
    with gr.Row():
        number = gr.Dropdown(names, value=0, label="Network", elem_id="network", scale=3)
        reading = gr.Button("Read its strongest text", size="sm", visible=bench.report is not None, scale=1)
        acting = gr.Button("Intervene on it", size="sm", scale=1)
    shown = gr.HTML(elem_id="card")
    of_number = answered(lambda network: card(bench, int(network)))
    gr.on([blocks.load, number.change], of_number, number, shown, **_PLAIN)
    reading.click(lambda network: strongest_text(bench, int(network)), number, text, **_PLAIN)
    return number, acting
