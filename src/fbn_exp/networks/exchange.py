"""Members of networks as plain lists of neurons per block, for tools that know nothing of this package."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fbn_exp.core.layout import NeuronLayout

FORMAT = "fbn_exp neurons 1"


def neuron_lists(
    masks: Tensor,
    maps: Tensor,
    layout: NeuronLayout,
    provenance: Mapping[str, Any],
    threshold: str,
    names: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Members of every network, by the path of the module whose tensor holds them.

    Parameters
    ----------
    masks : Tensor of shape (K, N), bool
        Members of each network.
    maps : Tensor of shape (K, N)
        Weights; their signs say which members go up where a network is active.
    layout : NeuronLayout
        Modules and widths.
    provenance : mapping
        Provenance of the networks.
    threshold : str
        Rule of membership, in words.
    names : tuple of str, of length K, optional
        Names of the networks.

    Returns
    -------
    dict
        Plain json. ``tensor`` says whether neurons are entries of a module's ``output`` or of its ``input``
        (``mlp_hidden``: the input of the down projection), ``axis`` that they lie on the last axis. Modules
        without members are left out of a network.
    """
    return {
        "format": FORMAT,
        **{name: provenance.get(name) for name in ("model", "revision", "weight_digest")},
        "site": layout.site.value,
        "tensor": "input" if layout.reads_input else "output",
        "axis": -1,
        "threshold": threshold,
        "modules": {block.path: block.width for block in layout.blocks},
        "networks": [
            {
                "index": index,
                **({} if names is None else {"name": names[index]}),
                "neurons": {
                    block.path: members
                    for block in layout.blocks
                    if (members := mask[block.columns].nonzero()[:, 0].tolist())
                },
                "down": {
                    block.path: falling
                    for block in layout.blocks
                    if (falling := (mask & (weights < 0))[block.columns].nonzero()[:, 0].tolist())
                },
            }
            for index, (mask, weights) in enumerate(zip(masks, maps, strict=True))
        ],
    }
