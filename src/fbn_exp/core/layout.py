"""Neuron layout: the coordinate system of signals, maps, masks and scales."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Any

from fbn_exp.core.errors import LayoutError


class Site(StrEnum):
    """Point in each decoder block at which signals are read and interventions act.

    Examples
    --------
    >>> fbn.Site("mlp_output")
    <Site.mlp_output: 'mlp_output'>
    """

    mlp_output = "mlp_output"
    mlp_hidden = "mlp_hidden"
    attention_output = "attention_output"
    block_output = "block_output"


@dataclass(frozen=True)
class Block:
    """The neurons of one decoder block at a site.

    Attributes
    ----------
    path : str
        Path in the model of the module whose tensor holds the neurons.
    offset, width : int
        First column and number of columns in every matrix over neurons.
    """

    path: str
    offset: int
    width: int

    @property
    def columns(self) -> slice:
        """Columns of this block in every matrix over neurons."""
        return slice(self.offset, self.offset + self.width)


@dataclass(frozen=True)
class NeuronLayout:
    """The ordered blocks of a model at one site; the only place that computes offsets.

    Attributes
    ----------
    site : Site
        Point in each block at which the neurons are read.
    blocks : tuple of Block
        In the order in which the model applies them; widths may differ.
    tokens_first : bool
        True if the modules' tensors are tokens × batch × width, as in ChatGLM, not batch × tokens × width.

    Examples
    --------
    >>> signals.layout.describe()
    >>> signals.layout.locate(100)
    """

    site: Site
    blocks: tuple[Block, ...]
    tokens_first: bool = False

    @classmethod
    def of(
        cls, site: Site, paths: Sequence[str], widths: Sequence[int], tokens_first: bool = False
    ) -> "NeuronLayout":
        """Lay out blocks of the given widths one after the other."""
        offsets = [end - width for end, width in zip(accumulate(widths), widths, strict=True)]
        blocks = tuple(Block(*block) for block in zip(paths, offsets, widths, strict=True))
        return cls(site, blocks, tokens_first)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N over all blocks."""
        return sum(block.width for block in self.blocks)

    @property
    def reads_input(self) -> bool:
        """True if the neurons are the input of the modules at the blocks' paths, not their output."""
        return self.site is Site.mlp_hidden

    def locate(self, neuron: int) -> tuple[int, int]:
        """Block index and index within the block of a column.

        Raises
        ------
        LayoutError
            If there is no such column.
        """
        for index, block in enumerate(self.blocks):
            if block.offset <= neuron < block.offset + block.width:
                return index, neuron - block.offset
        raise LayoutError(f"neuron {neuron} is not in the layout, which has {self.n_neurons} neurons")

    def describe(self) -> str:
        """Size and site, such as ``30 × 576 neurons, mlp_output``."""
        runs = Counter(block.width for block in self.blocks)
        shape = " + ".join(f"{count} × {width:,}" for width, count in runs.items())
        return f"{shape} neurons, {self.site.value}"

    def to_dict(self) -> dict[str, Any]:
        """Convert to a plain structure for JSON."""
        return {
            "site": self.site.value,
            "tokens_first": self.tokens_first,
            "blocks": [{"path": block.path, "width": block.width} for block in self.blocks],
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "NeuronLayout":
        """Rebuild a layout from the result of ``to_dict``."""
        blocks = plain["blocks"]
        paths, widths = [block["path"] for block in blocks], [block["width"] for block in blocks]
        return cls.of(Site(plain["site"]), paths, widths, plain.get("tokens_first", False))
