"""Verdict on a prediction, and the page of an experiment: what was said before, then what came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import pandas as pd

from fbn_exp.experiments.decisive.config import DecisiveConfig
from fbn_exp.experiments.paper.tables import markdown

WIDTH = 140


@dataclass(frozen=True)
class Verdict:
    """What an experiment decided.

    Attributes
    ----------
    outcome : str
        Whether the prediction failed, on which model; "not reproduced" and what could have been seen, never
        "false".
    numbers : tuple of str
        Sentences with the numbers that it rests on.
    """

    outcome: str
    numbers: tuple[str, ...]


def paragraphs(config: DecisiveConfig, verdict: Verdict) -> dict[str, str]:
    """Paragraphs of the result by their heads: the prediction that could have failed comes first."""
    texts = {
        "The prediction that could have failed": config.prediction,
        "Outcome": verdict.outcome,
        "Numbers": " ".join(verdict.numbers),
        "Rule, written before the run": config.rule,
        "Design": config.design,
    }
    return {head: " ".join(text.split()) for head, text in texts.items() if text}


def page(question: str, said: Mapping[str, str], table: pd.DataFrame, pictures: Sequence[str]) -> str:
    """Page of an experiment in markdown.

    Parameters
    ----------
    question : str
        Its title.
    said : mapping of str to str
        Result of ``paragraphs``.
    table : DataFrame
        Table for reading, cells as text.
    pictures : sequence of str
        Paths of the pictures, relative to the page.
    """
    texts = [
        fill(f"**{head}.** {text}", WIDTH, break_long_words=False, break_on_hyphens=False)
        for head, text in said.items()
    ]
    images = [f"![{question}]({each})" for each in pictures]
    return "\n\n".join([f"# {question}", *texts, markdown(table), *images]) + "\n"
