"""Part of the page that intervenes on networks."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import gradio as gr

from fbn_exp.explorer.acting import (
    FEWEST_NEW_TOKENS,
    MOST_NEW_TOKENS,
    Rule,
    Settings,
    acted,
    controls_for,
)
from fbn_exp.explorer.command import evaluate_command
from fbn_exp.explorer.page.events import QUEUE, answered
from fbn_exp.explorer.shown.results import results_shown
from fbn_exp.explorer.workbench import Workbench
from fbn_exp.interventions.config import ControlKind, Fill

# a rule's usual fill
FILLS = {
    Rule.scale: (Fill.zero, Fill.mean, Fill.position_mean),
    Rule.inhibit: (Fill.zero, Fill.mean, Fill.position_mean),
    Rule.project: (Fill.position_mean, Fill.mean, Fill.zero),
}

WORDS_OF_FILLS = {
    Fill.zero: "0",
    Fill.mean: "the mean",
    Fill.position_mean: "the mean at first tokens, or at others",
}
WORDS_OF_CONTROLS = {
    ControlKind.activation: "other neurons, nearest in activity",
    ControlKind.per_block: "others at random in the same blocks",
    ControlKind.random: "others at random",
    ControlKind.rotation: "a random rotation of the networks",
}


def intervene(bench: Workbench, text: gr.Textbox) -> gr.Dropdown:
    """Build the part; returns the field of its networks."""
    names = [(bench.name(index), index) for index in range(len(bench.networks))]
    with gr.Row(elem_classes="act"):
        with gr.Column(scale=2, min_width=260):
            networks = gr.Dropdown(names, value=[0], multiselect=True, label="Networks", elem_id="chosen")
            rule = gr.Radio(
                [
                    ("scale their neurons", Rule.scale.value),
                    ("set them to a fill", Rule.inhibit.value),
                    ("take their direction out", Rule.project.value),
                ],
                value=Rule.inhibit.value,
                label="Intervention",
                elem_id="rule",
            )
            factor = gr.Slider(
                0, 2, 0, step=0.05, label="Factor: 1 changes nothing", visible=False, elem_id="factor"
            )
            spared = gr.Checkbox(False, label="Spare the first token", elem_id="spared")
        with gr.Column(scale=2, min_width=260):
            fill = gr.Dropdown(_fills(Rule.inhibit), value=Fill.zero.value, label="Moved to")
            control = gr.Dropdown(
                _controls(Rule.inhibit),
                value=ControlKind.activation.value,
                label="Control",
            )
            with gr.Row():
                seed = gr.Number(0, precision=0, minimum=0, label="Seed", min_width=80)
                new = gr.Slider(
                    FEWEST_NEW_TOKENS, MOST_NEW_TOKENS, 40, step=1, label="Tokens to write", min_width=140
                )
    with gr.Row():
        go = gr.Button("Run", variant="primary", elem_id="run")
        halt = gr.Button("Stop", elem_id="stop")
    shown = gr.HTML(results_shown(bench, None), elem_id="results")
    command = gr.Textbox(
        label="The same by evaluate.py",
        elem_id="command",
        lines=2,
        interactive=False,
        visible=False,
        buttons=["copy"],
    )
    rule.change(_offered, rule, [factor, fill, control], show_progress="hidden", api_visibility="private")
    stops: dict[str, Event] = {}

    @answered
    def act(
        prompt: str | None,
        chosen: list[int],
        what: str,
        by: float,
        to: str,
        first_spared: bool,
        kind: str,
        number: int,
        length: int,
        request: gr.Request,
    ) -> Iterator[tuple[str, Any]]:
        settings = Settings(
            prompt or "",
            tuple(sorted(chosen)),
            Rule(what),
            float(by),
            Fill(to),
            first_spared,
            ControlKind(kind),
            int(number or 0),
            int(length),
        )
        stop = stops[str(request.session_hash)] = Event()
        for results in acted(bench, settings, stop):
            line = evaluate_command(settings, bench.folder, bench.arguments, len(results.pieces) > 1)
            yield results_shown(bench, results), gr.Textbox(line, visible=True)

    inputs = [text, networks, rule, factor, fill, spared, control, seed, new]
    go.click(act, inputs, [shown, command], show_progress="minimal", **QUEUE)

    def stop_it(request: gr.Request) -> None:
        if (event := stops.get(str(request.session_hash))) is not None:
            event.set()

    halt.click(stop_it, None, None, queue=False, api_visibility="private")
    return networks


def _offered(value: str) -> tuple[gr.Slider, gr.Dropdown, gr.Dropdown]:
    """Fields as a rule has them."""
    rule = Rule(value)
    return (
        gr.Slider(visible=rule is not Rule.inhibit),
        gr.Dropdown(_fills(rule), value=FILLS[rule][0].value),
        gr.Dropdown(_controls(rule), value=controls_for(rule)[0].value),
    )


def _fills(rule: Rule) -> list[tuple[str, str]]:
    return [(WORDS_OF_FILLS[each], each.value) for each in FILLS[rule]]


def _controls(rule: Rule) -> list[tuple[str, str]]:
    return [(WORDS_OF_CONTROLS[each], each.value) for each in controls_for(rule)]
