"""Functional networks: K maps over the neurons of a layout, with their masks, saving and loading."""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor

from fbn_exp.core.errors import BenchmarkError, FbnError, LayoutError, NetworksError
from fbn_exp.core.files import file_digest, new_folder, sealed, write_compact_json, write_json
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.networks.exchange import neuron_lists
from fbn_exp.networks.files import (
    FORMAT,
    NAME,
    SEAL,
    blocks_in,
    names_in,
    read_description,
    read_tensors,
    statistics_in,
)
from fbn_exp.networks.folder import DESCRIPTION, NEURONS, TENSORS
from fbn_exp.networks.masks import block_shares, network_table
from fbn_exp.thresholds.base import Tails, Threshold, z_scores
from fbn_exp.thresholds.z import ZThreshold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

# statistic of networks whose weights were tested: a weight divided by it is a z score
NULL_DEVIATION = "null_deviation"
UNKNOWN_TEXTS = (
    "The networks do not say which texts they were extracted from (text_digests are missing): it cannot be "
    "checked that these are others than those scored here."
)


@dataclass(frozen=True, eq=False, repr=False)
class FunctionalNetworks:
    """Networks of co-active neurons.

    Attributes
    ----------
    maps : Tensor of shape (K, N), float32
        Weight of every neuron in every network, in units of the signal; the heavier tail of each map is
        positive.
    layout : NeuronLayout
        Order of the neurons.
    statistics : dict of str to list of float
        Statistics per network, such as ``explained_variance_ratio``.
    neurons : dict of str to Tensor of shape (N,)
        Statistics per neuron over the texts, such as ``mean_absolute`` activation.
    provenance : dict
        Model, weights, texts, method, seed and versions that the maps come from.
    blocks : tuple of int, of length K, optional
        Index of the block that each network was extracted from, where blocks were decomposed separately; its
        map is 0 in all other blocks. None for networks of the whole model.
    time_courses : Tensor of shape (T, K), optional
        Activity of each network over the T tokens, with unit variance, if it was kept; not saved.
    names : tuple of str, of length K, optional
        Name of each network, from methods that are told what to look for.

    Examples
    --------
    >>> networks = fbn.fit(fbn.ICA(n_components=3), signals)
    >>> networks.to_frame()
    >>> networks.plot(0)
    """

    maps: Tensor
    layout: NeuronLayout
    statistics: dict[str, list[float]] = field(default_factory=dict)
    neurons: dict[str, Tensor] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    blocks: tuple[int, ...] | None = None
    time_courses: Tensor | None = None
    names: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        name = self.provenance.get("model", "a model")
        return f"FunctionalNetworks({len(self)} networks over {self.layout.describe()}, of {name})"

    def __post_init__(self) -> None:
        self._check_tensors()
        if self.maps.ndim != 2 or self.maps.shape[1] != self.layout.n_neurons:
            raise NetworksError(
                f"maps have shape {tuple(self.maps.shape)}, the layout has {self.layout.n_neurons} neurons"
            )
        if self.names is not None and len(self.names) != len(self.maps):
            raise NetworksError(f"{len(self.names)} names are given for {len(self.maps)} networks")
        if self.blocks is not None:
            if len(self.blocks) != len(self.maps):
                raise NetworksError(f"{len(self.blocks)} blocks are given for {len(self.maps)} networks")
            n_blocks = len(self.layout.blocks)
            if outside := [block for block in self.blocks if not 0 <= block < n_blocks]:
                raise NetworksError(f"networks name blocks {outside}, the layout has 0 to {n_blocks - 1}")

    def _check_tensors(self) -> None:
        """Refuse maps and neuron statistics that are not finite numbers, or of another length."""
        for name, values in {"maps": self.maps, **self.neurons}.items():
            if values.dtype is not torch.float32:
                raise NetworksError(f"{name} are {str(values.dtype).removeprefix('torch.')}, must be float32")
            if not values.isfinite().all():
                raise NetworksError(f"{name} hold a number that is not finite")
        for name, values in self.neurons.items():
            if values.shape != (self.layout.n_neurons,):
                raise NetworksError(
                    f"{name} has shape {tuple(values.shape)}, the layout has {self.layout.n_neurons} neurons"
                )
        if not isinstance(self.provenance, dict):
            raise NetworksError(f"provenance is {self.provenance!r}, must be a mapping")
        digests = self.provenance.get("text_digests") or []
        if not isinstance(digests, list | tuple) or not all(isinstance(each, str) for each in digests):
            raise NetworksError(f"provenance.text_digests is {digests!r:.80}, must be a list of digests")

    def __len__(self) -> int:
        return self.maps.shape[0]

    def title(self, network: int) -> str:
        """Name a network by its index, and by its own name if it has one."""
        return f"network {network}" + ("" if self.names is None else f" ({self.names[network]})")

    @property
    def tested(self) -> Tensor | None:
        """Maps as z scores with a standard normal null, (K, N), from a method that tests every neuron."""
        if NULL_DEVIATION not in self.statistics:
            return None
        deviation = torch.tensor(self.statistics[NULL_DEVIATION], dtype=torch.float64)
        return self.maps.double() / deviation.clamp_min(1e-300)[:, None]

    def masks(self, threshold: Threshold | None = None) -> Tensor:
        """Masks of the members of each network under a threshold, z > 1.96 by default; bool of shape (K, N).

        A network of a single block is thresholded among the neurons of that block: among the zeros of all
        other blocks, nearly every neuron of its block would stand out.
        """
        rule = threshold or ZThreshold()
        if (tested := self.tested) is not None:
            return rule.masks_of_z(tested, self.layout)
        if self.blocks is None:
            return rule.masks(self.maps, self.layout)
        return self._by_block(rule.masks, torch.bool)

    def tails(self, threshold: Threshold) -> Tails | None:
        """Tails of each map's weights, among the neurons that are thresholded together.

        None from a rule that does not ask whether there are any, as all but ``MixtureThreshold``.
        """
        if self.blocks is None:
            return threshold.tails(self.maps, self.layout)
        shares = torch.zeros(2, len(self), dtype=torch.float64)
        for rows, columns in self._parts(self.blocks):
            tails = threshold.tails(self.maps[rows, columns])
            if tails is None:
                return None
            shares[:, rows] = torch.stack([tails.positive, tails.negative])
        return Tails(*shares)

    def z_scores(self) -> Tensor:
        """Weights standardised over the neurons that are thresholded together, float64 of shape (K, N)."""
        return self._by_block(z_scores, torch.float64)

    def _by_block(self, rule: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Tensor:
        """Apply a rule to maps of the whole model, or to each map within its block; 0 in all other blocks."""
        if self.blocks is None:
            return rule(self.maps)
        result = torch.zeros(self.maps.shape, dtype=dtype)
        for rows, columns in self._parts(self.blocks):
            result[rows, columns] = rule(self.maps[rows, columns])
        return result

    def _parts(self, blocks: tuple[int, ...]) -> Iterator[tuple[Tensor, slice]]:
        """Yield the networks of every block that has any, and the columns of that block."""
        block_of_network = torch.tensor(blocks)
        for index in sorted(set(blocks)):
            yield (block_of_network == index).nonzero()[:, 0], self.layout.blocks[index].columns

    def require_layout(self, layout: NeuronLayout, model_name: str) -> None:
        """Check that a model has the neurons that the maps describe.

        Raises
        ------
        LayoutError
            If its layout differs; the message names both layouts.
        """
        if layout != self.layout:
            raise LayoutError(
                f"networks were extracted from {self.provenance.get('model', 'another model')} "
                f"({self.layout.describe()}, from {self.layout.blocks[0].path}), {model_name} has "
                f"{layout.describe()} from {layout.blocks[0].path}: extract again, or choose the model and "
                "site that they come from"
            )

    def require_unseen(self, scored: frozenset[str] | None) -> list[str]:
        """Check that the maps were not fitted on text that is scored or measured.

        What cannot be checked is logged as a warning, and returned for the results.

        Parameters
        ----------
        scored : frozenset of str or None
            Digests of the texts, None if they are unknown.

        Returns
        -------
        list of str
            A remark if the texts that the networks come from are unknown.

        Raises
        ------
        BenchmarkError
            If the two share a text.
        """
        fitted = self.provenance.get("text_digests")
        if scored is not None and not scored:
            return []
        if not fitted:
            log.warning(UNKNOWN_TEXTS)
            return [UNKNOWN_TEXTS]
        if scored is None:
            log.info("scored texts are unknown: networks may have been extracted from them")
            return []
        if shared := scored & set(fitted):
            raise BenchmarkError(
                f"{len(shared)} of the {len(scored)} texts of the benchmark are among those that the "
                "networks were extracted from: take disjoint parts, as dataset.split=train "
                "benchmark.dataset.split=test"
            )
        return []

    def to_frame(self, threshold: Threshold | None = None) -> pd.DataFrame:
        """Table with one row per network: size, statistics, share of its neurons in each block.

        Parameters
        ----------
        threshold : Threshold, optional
            Rule of membership; ``ZThreshold()``, z > 1.96, by default.
        """
        rule = threshold or ZThreshold()
        return network_table(
            self.masks(rule), self.maps, self.layout, self.statistics, self.tails(rule), self.names
        )

    def plot(self, network: int, threshold: Threshold | None = None) -> "Figure":
        """Draw the map of one network over the blocks of the model, members circled.

        Parameters
        ----------
        network : int
            Its index.
        threshold : Threshold, optional
            Rule of membership; ``ZThreshold()``, z > 1.96, by default.

        Raises
        ------
        NetworksError
            If there is no such network.
        """
        # the only import from a higher layer: users look for plotting here
        from fbn_exp.report.figures.networks import network_map

        if network not in range(len(self)):
            raise NetworksError(f"there is no network {network}, there are networks 0 to {len(self) - 1}")
        rule = threshold or ZThreshold()
        explained = self.statistics.get("explained_variance_ratio", [math.nan] * len(self))[network]
        scores, mask = self.z_scores()[network], self.masks(rule)[network]
        return network_map(scores, mask, self.layout, self.title(network), explained, rule.describe())

    def require_weights(self, digest: str, model_name: str) -> None:
        """Check that a model has the weights that the maps were extracted from.

        Raises
        ------
        NetworksError
            If the weights differ.
        """
        if digest != self.provenance.get("weight_digest"):
            raise NetworksError(
                f"networks were extracted from {self.provenance.get('model', 'another model')} with other "
                f"weights than those of {model_name}: extract again, or take same_weights=false"
            )

    def save(self, folder: str | Path, threshold: Threshold | None = None) -> None:
        """Write ``networks.safetensors`` and ``networks.json``; an interrupted save leaves no file.

        Masks are not stored: the json states each network's size and share per block at ``threshold``,
        for a reader without this package, and ``neurons.json`` lists the members for other tools.
        """
        folder, threshold = Path(folder).expanduser(), threshold or ZThreshold()
        masks = self.masks(threshold)
        tensors = {"maps": self.maps, **{f"neuron_{name}": data for name, data in self.neurons.items()}}
        # safetensors refuses tensors that share memory
        copies = {name: data.clone(memory_format=torch.contiguous_format) for name, data in tensors.items()}
        with new_folder(folder, sum(data.nbytes for data in copies.values())) as partial:
            save_file(copies, partial / TENSORS)
            description = {
                "format": FORMAT,
                "sha256": file_digest(partial / TENSORS),
                "shape": list(self.maps.shape),
                "threshold": threshold.describe(),
                "networks": self._summaries(masks),
                "layout": self.layout.to_dict(),
                "provenance": self.provenance,
            }
            write_json(partial / DESCRIPTION, sealed(description, SEAL))
            write_compact_json(partial / NEURONS, self.neuron_lists(threshold))

    def neuron_lists(self, threshold: Threshold | None = None) -> dict[str, Any]:
        """Members of each network by the path of a module, as plain json for other tools.

        Parameters
        ----------
        threshold : Threshold, optional
            Rule of membership; ``ZThreshold()``, z > 1.96, by default.
        """
        rule = threshold or ZThreshold()
        masks, words = self.masks(rule), rule.describe()
        return neuron_lists(masks, self.maps, self.layout, self.provenance, words, self.names)

    def _summaries(self, masks: Tensor) -> list[dict[str, Any]]:
        shares = block_shares(masks, self.layout)
        return [
            {
                "index": index,
                "size": int(masks[index].sum()),
                "block_shares": [round(share, 4) for share in shares[index].tolist()],
                **({} if self.blocks is None else {"block": self.blocks[index]}),
                **({} if self.names is None else {NAME: self.names[index]}),
                **{name: values[index] for name, values in self.statistics.items()},
            }
            for index in range(len(self))
        ]

    @classmethod
    def load(cls, folder: str | Path) -> "FunctionalNetworks":
        """Read networks that ``save`` wrote; nothing is unpickled.

        Raises
        ------
        NetworksError
            If a file is missing, truncated, changed, or not of this format.
        """
        folder = Path(folder).expanduser()
        description = read_description(folder)
        tensors = read_tensors(folder, description["sha256"])
        try:
            layout = NeuronLayout.from_dict(description["layout"])
            statistics = statistics_in(description["networks"])
            neurons = {name.removeprefix("neuron_"): data for name, data in tensors.items() if name != "maps"}
            provenance, blocks = description["provenance"], blocks_in(description["networks"])
            names = names_in(description["networks"])
            return cls(tensors["maps"], layout, statistics, neurons, provenance, blocks, names=names)
        except (LookupError, TypeError, ValueError, AttributeError, FbnError) as error:
            raise NetworksError(
                f"{folder / DESCRIPTION} is not a description of networks: {error!r}"
            ) from error
