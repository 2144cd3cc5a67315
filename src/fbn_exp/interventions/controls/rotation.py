"""Networks of a random rotation of the maps, attention sinks left out."""

from dataclasses import replace

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import ControlError, NetworksError
from fbn_exp.interventions.component.patterns import Components, components_of
from fbn_exp.interventions.config import Members
from fbn_exp.interventions.controls.control import Control, Drawer, Original
from fbn_exp.interventions.target import OUTSIDE, choose_target
from fbn_exp.methods.base import tail_signs
from fbn_exp.methods.random import random_rotations
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.neurons import statistics_of
from fbn_exp.signals.config import Standardise
from fbn_exp.thresholds.z import ZThreshold

# of the energy of a time course: a component with more of it at first tokens is an attention sink
SINK_SHARE = 0.5


def sink_shares(networks: FunctionalNetworks, first: Tensor | None = None) -> Tensor:
    """Share of the energy of each network's time course that lies at first tokens of texts, shape (K,).

    A time course has unit variance over the tokens that the networks were fitted to; at first tokens it is
    what the maps make of activations there (least squares). Its mean square there times the share of first
    tokens is the share of its energy. It is 0 if signals leave first tokens out.

    Parameters
    ----------
    networks : FunctionalNetworks
        The networks.
    first : Tensor of shape (F, N), optional
        Activations at first tokens. Without them the mean activation at first tokens stands for all, which
        gives the share of a time course that is the same at all of them, and less for others.

    Raises
    ------
    NetworksError
        If the networks do not hold statistics of first tokens, or not how their signals were recorded.
    """
    components = components_of(networks, tuple(range(len(networks))))
    if components is None:
        raise NetworksError("the networks do not say how their signals were recorded: extract again")
    recorded = networks.provenance["config"]["signals"]
    if recorded.get("first_tokens_excluded", 0) > 0:
        return torch.zeros(len(networks), dtype=torch.float64)
    statistics = statistics_of(networks.neurons, networks.provenance)
    at_first = statistics.first
    if at_first is None or not at_first.n_tokens:
        raise NetworksError("the networks do not hold statistics of first tokens: extract again")
    rows = (at_first.mean[None] if first is None else first).double()
    if recorded["standardise"] == Standardise.row_l2.value:
        # the mean of such rows is not known, and small beside a sink
        rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(1e-300)
    else:
        rows = rows - statistics.all.mean.double()
    courses = rows @ components.filters.double().T
    share = at_first.n_tokens / (at_first.n_tokens + statistics.others.n_tokens)
    return (share * courses.square().mean(dim=0)).clamp_max(1)


def rotated_maps(maps: Tensor, generator: torch.Generator) -> Tensor:
    """Maps (K, N) turned by a random rotation, each with its heavier tail positive.

    Where time courses are uncorrelated, as those of ICA and PCA, this is another rotation of the same
    whitened signals: it spans what the maps span, and explains as much variance.
    """
    turned = random_rotations(1, len(maps), generator)[0] @ maps.double()
    return (turned * tail_signs(turned)[:, None]).float()


class Rotation(Drawer):
    """Networks of rotated maps, as many as were chosen, with members by the same threshold.

    The rotation mixes all maps but those of attention sinks, whose variance would make every rotated map a
    copy of them; networks of single blocks are mixed within their block. If more networks were chosen than
    maps remain, further rotations supply the others. Members of the networks may be members again.

    Raises
    ------
    ControlError
        If the networks are not known, it is not known which of them are sinks, or fewer than two remain; or
        if the intervention acts on whole maps and takes all that remain: any rotation of them is the same.
    """

    def __init__(self, original: Original) -> None:
        super().__init__(original)
        if original.networks is None:
            raise ControlError("rotation needs the networks that the neurons come from")
        if getattr(original.intervention, "members", None) == Members.keystones:
            raise ControlError("rotated maps have no counterpart of the keystones alone")
        try:
            shares = sink_shares(original.networks, original.first)
        except NetworksError as error:
            raise ControlError(f"which networks are attention sinks is not known: {error}") from error
        remaining = (shares <= SINK_SHARE).nonzero()[:, 0]
        self.sinks = tuple((shares > SINK_SHARE).nonzero()[:, 0].tolist())
        self.networks = _chosen(original.networks, remaining)
        if not self._groups():
            raise ControlError(
                f"{len(remaining)} of {len(original.networks)} networks are no attention sinks, and a "
                "rotation needs two" + ("" if original.networks.blocks is None else " in one block")
            )
        taken, turned = len(original.target.networks), sum(map(len, self._groups()))
        if original.on_whole_maps and taken >= turned:
            raise ControlError(
                f"{taken} networks are taken out whole, and any rotation of the {turned} maps that are no "
                "attention sinks spans the same: choose fewer with intervention.networks"
            )

    @override
    def draw(self, generator: torch.Generator) -> Control:
        """Draw a control.

        Raises
        ------
        ControlError
            If no rotated map has members.
        """
        original = self.original
        wanted = len(original.target.networks)
        networks = self._rotated(generator)
        while len(networks) < wanted:
            networks = _joined(networks, self._rotated(generator))
        threshold = original.threshold or ZThreshold()
        on_members = not original.on_whole_maps
        try:
            target = choose_target(networks, threshold, range(wanted), require_members=on_members)
        except NetworksError as error:
            raise ControlError(f"rotated maps: {error}") from error
        if not on_members:
            return original.along(self._beside_sinks(target.components), same_block=1.0)
        labels = target.labels.masked_fill(~original.allowed, OUTSIDE)
        same = (labels != OUTSIDE) & self._in_blocks()
        return original.described(labels, float(same.sum() / (labels != OUTSIDE).sum().clamp_min(1)))

    def _beside_sinks(self, components: Components | None) -> Components:
        """Components of rotated maps, whose time courses are fitted together with those of the sinks."""
        original = self.original
        assert components is not None
        assert original.networks is not None
        sinks = original.networks.maps[list(self.sinks)]
        return replace(components, maps=torch.cat([components.maps, sinks]))

    def _in_blocks(self) -> Tensor:
        """Neurons of the blocks in which the target has members."""
        block_of = self.original.block_of
        return torch.isin(block_of, block_of[self.original.members])

    def _groups(self) -> list[Tensor]:
        """Indices of networks that are mixed with each other, at least two each."""
        blocks = self.networks.blocks
        if blocks is None:
            groups = [torch.arange(len(self.networks))]
        else:
            of = torch.tensor(blocks)
            groups = [(of == block).nonzero()[:, 0] for block in sorted(set(blocks))]
        return [group for group in groups if len(group) > 1]

    def _rotated(self, generator: torch.Generator) -> FunctionalNetworks:
        """Networks of one rotation, in random order: which ones are chosen is chance too."""
        maps, kept = self.networks.maps.clone(), []
        for group in self._groups():
            maps[group] = rotated_maps(maps[group], generator)
            kept.append(group)
        order = torch.cat(kept)
        order = order[torch.randperm(len(order), generator=generator)]
        return _chosen(replace(self.networks, maps=maps), order)


def _chosen(networks: FunctionalNetworks, indices: Tensor) -> FunctionalNetworks:
    """Return networks of given indices, without their statistics, names and time courses."""
    blocks = networks.blocks
    return replace(
        networks,
        maps=networks.maps[indices],
        statistics={},
        blocks=None if blocks is None else tuple(blocks[index] for index in indices.tolist()),
        time_courses=None,
        names=None,
    )


def _joined(one: FunctionalNetworks, other: FunctionalNetworks) -> FunctionalNetworks:
    blocks = None if one.blocks is None or other.blocks is None else (*one.blocks, *other.blocks)
    return replace(one, maps=torch.cat([one.maps, other.maps]), blocks=blocks)
