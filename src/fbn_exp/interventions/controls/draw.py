"""Draw controls of every kind that is asked for and can be drawn."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import NormalDist

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import ControlError
from fbn_exp.datasets.base import Texts
from fbn_exp.interventions.component.config import ProjectConfig
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.controls.attribution import cached_attribution
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Control, Drawer, Original
from fbn_exp.interventions.controls.energy import EqualEnergy
from fbn_exp.interventions.controls.expected import expected_energy
from fbn_exp.interventions.controls.matched import Anywhere, InBlocks, NearestInActivity, ShareOfAll
from fbn_exp.interventions.controls.noise import Noise
from fbn_exp.interventions.controls.permuted import Permuted, PermutedInBlocks
from fbn_exp.interventions.controls.references import Attribution, TopEnergy
from fbn_exp.interventions.controls.rotation import Rotation
from fbn_exp.interventions.targeted import TargetedIntervention
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)

# kinds whose neurons are others than those of the target
ELSEWHERE = (ControlKind.random, ControlKind.per_block, ControlKind.activation, ControlKind.energy)
# as many neurons as the target's, from which on a remark says how many a draw of equal energy takes
MANY_TIMES = 10
# level of a test, and the true level from which on a remark says that it is higher
NOMINAL, LARGEST_LEVEL = 0.05, 0.08


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
    by_kind: dict[ControlKind, list[Control]] = {}
    left_out: dict[str, list[str]] = {}
    for kind in settings.drawn:
        try:
            by_kind[kind] = _draws(kind, original, settings)
        except ControlError as error:
            left_out.setdefault(str(error), []).append(kind.value)
    remarks = [f"No {', '.join(kinds)} controls: {reason}." for reason, kinds in left_out.items()]
    for remark in remarks:
        log.warning("%s", remark)
    if (drawn := by_kind.get(ControlKind.energy)) is not None:
        neurons = sum(each.target.size for each in drawn) / len(drawn)
        if neurons > MANY_TIMES * original.target.size:
            remarks.append(
                f"Controls of equal energy take {neurons:,.0f} neurons on average, where the networks have "
                f"{original.target.size:,}."
            )
    if (said := _of_projection(original, by_kind)) is not None:
        remarks.append(said)
    if any(kind in ELSEWHERE for kind in by_kind) and (said := _of_size(original)) is not None:
        remarks.append(said)
    return DrawnControls(by_kind, tuple(remarks))


def draw_for(
    lesion: TargetedIntervention,
    lm: LanguageModel,
    settings: ControlsConfig,
    keystones: Tensor | None,
    texts: Texts | None,
    cache: Path,
) -> DrawnControls:
    """Draw controls of an intervention without a sample of activations.

    Parameters
    ----------
    lesion : TargetedIntervention
        What they stand in for; energies come from the statistics of its networks.
    lm : LanguageModel
        The model.
    settings : ControlsConfig
        Kinds, number of draws, and seed.
    keystones : Tensor of shape (N,), bool, or None
        Neurons that no control may hold.
    texts : Texts or None
        Texts for attribution.
    cache : Path
        Folder in which attribution is kept.
    """
    layout = lesion.target.layout
    original = Original(
        lesion.target,
        lesion.intervention,
        lesion.networks,
        lesion.threshold,
        keystones,
        expected_energy(lesion.intervention, lesion.target),
        attribution=None if texts is None else partial(cached_attribution, lm, layout, texts, cache),
    )
    return draw_controls(original, settings)


def _of_size(original: Original) -> str | None:
    """Remark on a target so large that draws elsewhere are no fair comparison, None for a smaller one.

    Under the null hypothesis the target is a draw of n among N neurons, and so is a control, but among the
    N − n others: the standard deviation of the difference from the mean control is larger than that of
    controls by the factor 1 / sqrt(1 − 2 n / N). The level is that of the two-sided p among many draws.
    """
    if original.on_whole_maps:
        return None
    share = original.target.size / original.target.layout.n_neurons
    normal = NormalDist()
    level = 2 * normal.cdf(normal.inv_cdf(NOMINAL / 2) * max(0.0, 1 - 2 * share) ** 0.5)
    if level <= LARGEST_LEVEL:
        return None
    return (
        f"The networks hold {share:.0%} of all neurons, and controls lie outside them: of random targets of "
        f"this size about {level:.0%} would have p ≤ {NOMINAL:g}."
    )


def _of_projection(original: Original, kinds: Iterable[ControlKind]) -> str | None:
    """Remark on draws that remove less energy than a projection of the networks, None if there are none."""
    permuted = [kind.value for kind in kinds if kind in DRAWERS_OF_MAPS]
    if not permuted or not isinstance(original.intervention, ProjectConfig):
        return None
    return (
        f"Activations vary little along permuted maps: {', '.join(permuted)} draws of a projection mostly "
        "remove less energy than it does, so that their p also asks whether more energy does more harm. See "
        "edit/control/<kind>/energy; noise has the same energy."
    )


def _draws(kind: ControlKind, original: Original, settings: ControlsConfig) -> list[Control]:
    drawer = _drawer(kind, original, settings.share, settings.members)
    repeats = range(1 if kind.is_reference else settings.repeats)
    bar = tqdm(repeats, desc=f"{kind.value} controls", leave=False, delay=1)
    return [drawer.draw(generator_of(kind, settings.seed, place)) for place in bar]


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
    ControlKind.energy: EqualEnergy,
    ControlKind.noise: Noise,
    ControlKind.rotation: Rotation,
    ControlKind.top_energy: TopEnergy,
    ControlKind.attribution: Attribution,
}
# for interventions on whole maps
DRAWERS_OF_MAPS: dict[ControlKind, Callable[[Original], Drawer]] = {
    ControlKind.random: Permuted,
    ControlKind.per_block: PermutedInBlocks,
}
# kinds that serve interventions on members and on whole maps alike
OF_BOTH = (ControlKind.noise, ControlKind.rotation)


def _drawer(kind: ControlKind, original: Original, share: float | None, members: bool = False) -> Drawer:
    if original.on_whole_maps and kind not in OF_BOTH:
        if kind not in DRAWERS_OF_MAPS:
            raise ControlError("they choose neurons, and the intervention acts on whole maps")
        return DRAWERS_OF_MAPS[kind](original)
    if kind is ControlKind.share and share is not None:
        return ShareOfAll(original, share, members)
    return DRAWERS[kind](original)
