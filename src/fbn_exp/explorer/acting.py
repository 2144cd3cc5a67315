"""Intervene on networks: what a model predicts and writes untouched, edited, and under a control."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event
from typing import Any

import torch
from torch import Tensor

from fbn_exp.analysis.keystones.scan import known_keystones
from fbn_exp.analysis.tokens import token_pieces
from fbn_exp.benchmarks.config import NGRAM
from fbn_exp.core.checks import require_at_least, require_at_most, require_seed
from fbn_exp.core.errors import ConfigError, ControlError
from fbn_exp.explorer.reading import MOST_TOKENS
from fbn_exp.explorer.streaming import streamed
from fbn_exp.explorer.workbench import Workbench
from fbn_exp.interventions.component.project import Project
from fbn_exp.interventions.config import ControlKind, Fill, Place
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.draw import draw_for
from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.interventions.rules import Inhibit, Intervention, Scale
from fbn_exp.interventions.targeted import TargetedIntervention
from fbn_exp.models.decoding.generation import written
from fbn_exp.models.decoding.predictions import token_nats

FEWEST_NEW_TOKENS, MOST_NEW_TOKENS = NGRAM + 1, 200
# kinds whose draws need no recording of activations: evaluate.py draws the same ones
CONTROLS = (ControlKind.activation, ControlKind.per_block, ControlKind.random, ControlKind.rotation)
CONTROLS_OF_MAPS = (ControlKind.per_block, ControlKind.random, ControlKind.rotation)


class Rule(StrEnum):
    """What is done to networks: members times a factor, members to 0, or the direction taken out."""

    scale = "scale"
    inhibit = "inhibit"
    project = "project"


class Condition(StrEnum):
    """The model as it is, with the intervention, and with the same intervention elsewhere."""

    untouched = "untouched"
    intervened = "intervened"
    control = "control"


@dataclass(frozen=True)
class Settings:
    """One intervention, and what the model is asked for.

    Attributes
    ----------
    prompt : str
        Text to score and to continue.
    networks : tuple of int
        Networks to intervene on.
    rule : Rule
        What is done to them.
    factor : float
        What remains of them, for ``scale`` and ``project``.
    fill : Fill
        What members are moved to, or what a direction's deviations are counted from.
    first_spared : bool
        True leaves the first token of the text alone.
    control : ControlKind
        Kind of the control.
    seed : int
        Seed of its draw.
    new_tokens : int
        Largest number of tokens to write.

    Raises
    ------
    ConfigError
        If no network is chosen, or a setting is out of range.
    """

    prompt: str
    networks: tuple[int, ...]
    rule: Rule = Rule.inhibit
    factor: float = 0.0
    fill: Fill = Fill.zero
    first_spared: bool = False
    control: ControlKind = ControlKind.activation
    seed: int = 0
    new_tokens: int = 40

    def __post_init__(self) -> None:
        if not self.networks:
            raise ConfigError("no network is chosen: choose one or more")
        require_at_least("new tokens", self.new_tokens, FEWEST_NEW_TOKENS)
        require_at_most("new tokens", self.new_tokens, MOST_NEW_TOKENS)
        require_seed("seed", self.seed)
        if self.control not in (known := controls_for(self.rule)):
            raise ConfigError(f"{self.rule} has no control {self.control}: take {', '.join(known)}")

    @property
    def tokens(self) -> Place:
        """Tokens that are edited."""
        return Place.first_spared if self.first_spared else Place.all

    @property
    def intervention(self) -> Intervention:
        """The intervention of the package."""
        chosen: dict[str, Any] = {"fill": self.fill, "tokens": self.tokens}
        networks = list(self.networks)
        match self.rule:
            case Rule.scale:
                return Scale(networks, self.factor, **chosen)
            case Rule.inhibit:
                return Inhibit(networks, **chosen)
            case Rule.project:
                return Project(networks, self.factor, **chosen)


def controls_for(rule: Rule) -> tuple[ControlKind, ...]:
    """Kinds of controls of a rule."""
    return CONTROLS_OF_MAPS if rule is Rule.project else CONTROLS


@dataclass
class Outcome:
    """What the model does in one condition.

    Attributes
    ----------
    losses : Tensor of shape (T - 1,)
        Nats of each token of the prompt after the first.
    probabilities : Tensor of shape (V,)
        Probabilities of the token after the prompt.
    text : str
        What it has written so far.
    finished, stopped : bool
        True when it has ended; both are when it was stopped before its end.
    """

    losses: Tensor = field(default_factory=lambda: torch.zeros(0))
    probabilities: Tensor = field(default_factory=lambda: torch.zeros(0))
    text: str = ""
    finished: bool = False
    stopped: bool = False


@dataclass
class Results:
    """Outcomes of all conditions, filled in one after the other.

    Attributes
    ----------
    settings : Settings
        What was asked for.
    pieces : list of str
        Tokens of the prompt.
    described : str
        The intervention and its size, in words.
    outcomes : dict of Condition to Outcome
        What has been computed so far.
    remarks : list of str
        What a reader has to know.
    """

    settings: Settings
    pieces: list[str]
    described: str
    outcomes: dict[Condition, Outcome] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def acted(bench: Workbench, settings: Settings, stop: Event) -> Iterator[Results]:
    """Score and continue a prompt in all conditions; yields the growing results.

    Parameters
    ----------
    bench : Workbench
        Model and networks.
    settings : Settings
        What to do.
    stop : Event
        Ends the texts early when it is set.

    Raises
    ------
    FbnError
        If the prompt is empty or too long, or the networks cannot be edited so.
    """
    lm = bench.lm
    ids = list(lm.tokenizer(settings.prompt)["input_ids"])
    if not ids:
        raise ConfigError("the text is empty: type one to go on from")
    if len(ids) > MOST_TOKENS:
        raise ConfigError(f"the text has {len(ids)} tokens, {MOST_TOKENS} are possible: shorten it")
    lesion = settings.intervention.on(bench.networks, bench.threshold, same_weights=bench.same_weights)
    results = Results(settings, token_pieces(lm.tokenizer, ids), repr(lesion))
    edits: dict[Condition, Edit | None] = {Condition.untouched: None, Condition.intervened: lesion.edit}
    try:
        edits[Condition.control] = _control(bench, lesion, settings)
    except ControlError as error:
        results.remarks.append(f"No control: {error}.")
    for condition, edit in edits.items():
        with bench.busy, _edited(bench, edit):
            results.outcomes[condition] = _predicted(bench, ids)
        yield results
    for condition, edit in edits.items():
        outcome = results.outcomes[condition]
        for text in _written(bench, edit, ids, settings.new_tokens, stop):
            outcome.text = text
            yield results
        outcome.finished, outcome.stopped = True, stop.is_set()
    if stop.is_set():
        results.remarks.append("Stopped before the texts were complete.")
    yield results


def _control(bench: Workbench, lesion: TargetedIntervention, settings: Settings) -> Edit:
    """Edit of the first draw of a control, the same that ``evaluate.py`` draws with this seed."""
    layout = lesion.target.layout
    keystones = known_keystones(bench.cache, bench.lm, layout)
    asked = ControlsConfig([settings.control], repeats=1, seed=settings.seed)
    drawn = draw_for(lesion, bench.lm, asked, keystones, None, bench.cache)
    if settings.control not in drawn.by_kind:
        raise ControlError("; ".join(drawn.remarks).rstrip("."))
    (control,) = drawn.by_kind[settings.control]
    return control.edit(lesion.intervention)


@contextmanager
def _edited(bench: Workbench, edit: Edit | None) -> Iterator[None]:
    with nullcontext() if edit is None else applied(bench.lm.model, bench.networks.layout, edit):
        yield


def _predicted(bench: Workbench, ids: list[int]) -> Outcome:
    tokens = torch.tensor([ids], device=bench.lm.device)
    with torch.inference_mode():
        logits = bench.lm.logits(tokens)
        losses = token_nats(logits[0, :-1], tokens[0, 1:].to(logits.device)).cpu()
        return Outcome(losses, logits[0, -1].float().softmax(dim=0).cpu())


def _written(
    bench: Workbench, edit: Edit | None, ids: list[int], new_tokens: int, stop: Event
) -> Iterator[str]:
    """Yield the growing continuation; it is written in a thread, so that no edit stays if nobody reads on."""
    if stop.is_set():
        return
    decode = bench.lm.tokenizer.decode

    def write(say: Any, abandoned: Event) -> None:
        def watch(rows: list[list[int]]) -> bool:
            say(decode(rows[0], skip_special_tokens=True))
            return stop.is_set() or abandoned.is_set()

        with bench.busy, _edited(bench, edit):
            written(bench.lm, [ids], new_tokens, watch)

    yield from streamed(write)
