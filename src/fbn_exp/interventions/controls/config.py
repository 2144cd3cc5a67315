"""Options of the config group ``controls``."""

from dataclasses import dataclass, field

from fbn_exp.core.checks import require, require_at_most, require_choice, require_count, require_seed
from fbn_exp.core.errors import ConfigError
from fbn_exp.interventions.config import ControlKind

# with a larger share of all neurons, too few may lie outside the networks to draw from
LARGEST_SHARE = 0.5
# every draw is a scoring, and a rank among so many is exact to a ten-thousandth
MOST_REPEATS = 10_000


def usual_kinds() -> list[ControlKind]:
    """Kinds that are drawn by default: all but ``share``, which needs a number."""
    return [kind for kind in ControlKind if kind is not ControlKind.share]


def without_texts() -> list[ControlKind]:
    """Kinds that are drawn by default where there are no texts for a backward pass."""
    return [kind for kind in usual_kinds() if kind is not ControlKind.attribution]


@dataclass
class ControlsConfig:
    """Controls to compare an intervention with.

    Attributes
    ----------
    kinds : list of ControlKind
        Kinds to draw; an empty list draws none.
    repeats : int
        Number of draws of each kind of chance, at most 10,000; the model is scored on each. References are
        no chance: there is one of each.
    seed : int
        Seed of the draws.
    share : float or None
        Adds a kind of another size than the networks: this share of all neurons, drawn at random (the paper's
        control, 0.15), at most half; None leaves it out.
    members : bool
        True lets that share of all neurons hold members of the networks; other kinds never do.
    keystones : bool
        True lets controls hold keystones, the neurons whose removal alone costs the model much.
    scan : bool
        Scan for keystones (the default scan of ``analysis=keystones``, kept in the cache) before controls are
        drawn; False keeps those out that an earlier scan found.
    keep_items : bool
        Keep the value of every item under every draw, in ``tables/draw_items.csv``: what another test than
        ours needs. False keeps the mean over draws of each item.

    Raises
    ------
    ConfigError
        If there is no such kind, or a number is out of range.
    """

    kinds: list[ControlKind] = field(default_factory=usual_kinds)
    repeats: int = 5
    seed: int = 0
    share: float | None = None
    members: bool = False
    keystones: bool = False
    scan: bool = False
    keep_items: bool = False

    def __post_init__(self) -> None:
        self.kinds = list(
            dict.fromkeys(require_choice(ControlKind, "controls.kinds", kind) for kind in self.kinds)
        )
        require_count("controls.repeats", self.repeats)
        require_at_most("controls.repeats", self.repeats, MOST_REPEATS)
        require_seed("controls.seed", self.seed)
        if self.share is not None:
            rule = f"be above 0 and at most {LARGEST_SHARE}, or null"
            require(0 < self.share <= LARGEST_SHARE, "controls.share", self.share, rule)
        elif ControlKind.share in self.kinds:
            raise ConfigError("controls.kinds names share: say which, as in controls.share=0.15")

    @property
    def drawn(self) -> list[ControlKind]:
        """Kinds that are drawn; a share of all neurons if there is a number for it."""
        extra = [] if self.share is None else [ControlKind.share]
        return list(dict.fromkeys([*self.kinds, *extra]))

    @property
    def scans(self) -> bool:
        """True if keystones have to be known before controls are drawn."""
        return self.scan and not self.keystones and bool(self.drawn)

    @property
    def scorings(self) -> int:
        """Number of scorings that the controls take."""
        return sum(1 if kind.is_reference else self.repeats for kind in self.drawn)
