"""Names of the probes, and options of the data set of their prompts."""

from dataclasses import dataclass, field
from enum import StrEnum

from fbn_exp.core.checks import require_choice
from fbn_exp.datasets.config import DatasetConfig


class Probe(StrEnum):
    """A task of the probe battery, whose prompts are drawn from seeds."""

    grammar = "grammar"
    morphology = "morphology"
    recall = "recall"
    arithmetic = "arithmetic"
    copying = "copying"
    code = "code"
    sentiment = "sentiment"


@dataclass
class ProbePromptsConfig(DatasetConfig):
    """Prompts of the probe battery without their choices, each labelled with its probe.

    Attributes
    ----------
    probes : list of Probe
        Probes to take prompts of; an empty list takes all.
    split : Split
        ``test`` takes prompts that the benchmark ``probes`` scores by default; ``train`` and ``dev`` divide
        those of its dev half, of which it scores none by default.
    min_tokens : int
        Prompts with fewer tokens are dropped.

    Raises
    ------
    ConfigError
        If there is no such probe or another setting is out of range.
    """

    _target_: str = field(default="fbn_exp.datasets.probes.prompts.ProbePrompts", kw_only=True, repr=False)
    probes: list[Probe] = field(default_factory=list)
    min_tokens: int = field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.probes = [require_choice(Probe, "dataset.probes", probe) for probe in self.probes]

    @property
    def known_labels(self) -> tuple[str, ...]:
        """Names of the probes."""
        return tuple(probe.value for probe in self.probes or Probe)
