"""Draw controls of every kind that is asked for and can be drawn."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from tqdm import tqdm

from fbn_exp.core.errors import ControlError
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Control, Drawer, Original
from fbn_exp.interventions.controls.matched import Anywhere, InBlocks, NearestInActivity, ShareOfAll
from fbn_exp.interventions.controls.permuted import Permuted, PermutedInBlocks

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DrawnControls:
    """Controls by kind, with what a reader of their scores has to know.

    Attributes
    ----------
    by_kind : mapping of ControlKind to sequence of Control
        Kinds that could be drawn.
    remarks : tuple of str
        Kinds that could not be drawn, and why.
    """

    by_kind: Mapping[ControlKind, Sequence[Control]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def draw_controls(original: Original, settings: ControlsConfig) -> DrawnControls:
    """Draw controls; a kind that cannot be drawn is left out with a warning.

    Parameters
    ----------
    original : Original
        What they stand in for.
    settings : ControlsConfig
        Kinds, number of draws, and seed. Every draw has its own generator, seeded by kind, seed and place:
        more repeats extend the list, and other kinds change nothing.
    """
    by_kind, remarks = {}, []
    for kind in settings.drawn:
        try:
            drawer = _drawer(kind, original, settings.share)
        except ControlError as error:
            remarks.append(f"No {kind.value} controls: {error}.")
            log.warning("no %s controls: %s", kind.value, error)
            continue
        repeats = range(1 if kind.is_reference else settings.repeats)
        bar = tqdm(repeats, desc=f"{kind.value} controls", leave=False, mininterval=0.5)
        by_kind[kind] = [drawer.draw(generator_of(kind, settings.seed, place)) for place in bar]
    return DrawnControls(by_kind, tuple(remarks))


def draw_neurons(original: Original, kind: ControlKind, seed: int) -> Control:
    """Draw one control of a kind.

    Raises
    ------
    ControlError
        If none can be drawn.
    """
    return _drawer(kind, original, None).draw(generator_of(kind, seed, 0))


def generator_of(kind: ControlKind, seed: int, place: int) -> torch.Generator:
    """Generator of one draw of a kind."""
    digest = hashlib.sha256(f"{kind.value} {seed} {place}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


DRAWERS: dict[ControlKind, Callable[[Original], Drawer]] = {
    ControlKind.random: Anywhere,
    ControlKind.per_block: InBlocks,
    ControlKind.activation: NearestInActivity,
}


# for interventions on whole maps
DRAWERS_OF_MAPS: dict[ControlKind, Callable[[Original], Drawer]] = {
    ControlKind.random: Permuted,
    ControlKind.per_block: PermutedInBlocks,
}
# kinds that serve interventions on members and on whole maps alike
OF_BOTH = (ControlKind.noise, ControlKind.rotation)


def _drawer(kind: ControlKind, original: Original, share: float | None) -> Drawer:
    intervention = original.intervention
    if intervention is not None and not intervention.acts_on_members and kind not in OF_BOTH:
        if kind not in DRAWERS_OF_MAPS:
            raise ControlError(f"they choose neurons, and {intervention.describe()} acts on whole maps")
        return DRAWERS_OF_MAPS[kind](original)
    if kind is ControlKind.share and share is not None:
        return ShareOfAll(original, share)
    return DRAWERS[kind](original)
