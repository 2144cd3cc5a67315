"""Command of ``evaluate.py`` that repeats what the page has done."""

import re
import shlex
from pathlib import Path

from fbn_exp.explorer.acting import Rule, Settings
from fbn_exp.interventions.config import Fill, Place

# a value that Hydra's grammar takes without quotes
PLAIN = re.compile(r"[\w./-]+")


def evaluate_command(
    settings: Settings, networks: Path, arguments: tuple[str, ...], scored: bool = True
) -> str:
    """Command line that scores the same text, writes the same, and compares with the same control.

    Parameters
    ----------
    settings : Settings
        The intervention.
    networks : Path
        Folder of the networks.
    arguments : tuple of str
        Arguments that the page was started with, as ``model=`` and ``threshold=``.
    scored : bool
        Score the text too; one of a single token has no loss.
    """
    usual = Fill.position_mean if settings.rule is Rule.project else Fill.zero
    chosen = ",".join(map(str, settings.networks))
    parts = [
        f"networks={networks if PLAIN.fullmatch(str(networks)) else quoted(str(networks))}",
        *arguments,
        f"intervention={settings.rule.value}",
        f"intervention.networks=[{chosen}]",
        *([] if settings.rule is Rule.inhibit else [f"intervention.factor={settings.factor:g}"]),
        *([] if settings.fill is usual else [f"intervention.fill={settings.fill.value}"]),
        *([f"intervention.tokens={Place.first_spared.value}"] if settings.first_spared else []),
        f"controls.kinds=[{settings.control.value}]",
        "controls.repeats=1",
        f"seed={settings.seed}",
        "benchmark=generation",
        f"benchmark.prompts=[{quoted(settings.prompt)}]",
        f"benchmark.new_tokens={settings.new_tokens}",
        *(["benchmark.score_prompts=true"] if scored else []),
    ]
    return "python evaluate.py " + " ".join(map(shlex.quote, parts))


def quoted(text: str) -> str:
    """Text as a quoted value in Hydra's grammar, in which nothing refers to another part of the config."""
    # a backslash escapes only in front of a reference, of a quote, and of the end
    plain = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    plain = re.sub(r'(\\*)"', r'\1\1\\"', plain)
    return '"' + re.sub(r"(\\+)\Z", r"\1\1", plain) + '"'
