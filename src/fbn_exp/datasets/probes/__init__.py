"""Generators of short multiple-choice items, whose prompts are texts and whose choices a benchmark scores."""

from fbn_exp.datasets.config import Probe
from fbn_exp.datasets.probes import arithmetic, code, copying, grammar, morphology, recall, sentiment
from fbn_exp.datasets.probes.items import Draw

PROBES: dict[str, Draw] = {
    Probe.grammar: grammar.draw,
    Probe.morphology: morphology.draw,
    Probe.recall: recall.draw,
    Probe.arithmetic: arithmetic.draw,
    Probe.copying: copying.draw,
    Probe.code: code.draw,
    Probe.sentiment: sentiment.draw,
}
"""Function that draws the items of each probe."""
