"""Prompts of the probe battery as texts, apart from the items that a benchmark scores."""

from collections.abc import Iterator

from fbn_exp.datasets.base import Document, TextDataset
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.probes import arithmetic, code, copying, grammar, morphology, recall, sentiment
from fbn_exp.datasets.probes.config import Probe, ProbePromptsConfig
from fbn_exp.datasets.probes.items import Draw, Half, generate
from fbn_exp.datasets.splits import in_split

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

# as many as the battery has in each half by default
N_ITEMS = 400
HALVES: dict[Split, tuple[Half, ...]] = {
    Split.train: ("dev",),
    Split.dev: ("dev",),
    Split.test: ("test",),
    Split.all: ("dev", "test"),
}


class ProbePrompts(ProbePromptsConfig, TextDataset):
    """Prompts of the probe battery without their choices, each labelled with its probe."""

    def documents(self) -> Iterator[Document]:
        """Yield the distinct prompts of the split, probe by probe."""
        for probe in self.probes or Probe:
            for half in HALVES[self.split]:
                items = generate(PROBES[probe], half, N_ITEMS)
                for text in dict.fromkeys(item.text for item in items):
                    if self.split not in (Split.train, Split.dev) or self._in_part(text):
                        yield Document(text, f"a prompt of the probe {probe}, {half} half", probe.value)

    def _in_part(self, text: str) -> bool:
        """True if a prompt of the dev half belongs to the split: a fifth to dev, the others to train."""
        return in_split(text, Split.dev) == (self.split is Split.dev)

    @property
    def name(self) -> str:
        """The constant ``probes``."""
        return "probes"

    def describe(self) -> str:
        """Name the probes and the split."""
        return f"prompts of the probes {', '.join(self.probes or Probe)}, split {self.split.value}"
