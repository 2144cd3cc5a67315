"""What pruning leaves: typed, for the report and for the description beside the checkpoint."""

from dataclasses import dataclass
from typing import Any

from fbn_exp.core.package_file import version
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.pruning.config import Criterion, PruningConfig
from fbn_exp.pruning.selection import Selection
from fbn_exp.pruning.speed import Size, Speed


@dataclass(frozen=True, eq=False)
class Pruned:
    """A pruned model.

    Attributes
    ----------
    config : PruningConfig
        What was asked for.
    selection : Selection
        Neurons that were pruned.
    smaller : bool
        Whether they were taken out of the weights; else their weights are zero.
    before, after : Size
        Sizes of the original and of the pruned model.
    speed : Speed or None
        Speeds of both; None if they were not measured.
    logit_error : float
        Largest difference between the logits of the checkpoint as it was loaded again and those of the
        original under hooks, relative to the largest logit.
    remarks : tuple of str
        Caveats.
    """

    config: PruningConfig
    selection: Selection
    smaller: bool
    before: Size
    after: Size
    speed: Speed | None
    logit_error: float
    remarks: tuple[str, ...] = ()


def description(
    lm: LanguageModel, selection: Selection, config: PruningConfig, smaller: bool, settings: dict[str, Any]
) -> dict[str, Any]:
    """Describe a pruned checkpoint as plain json: its origin, the rule, and the neurons that are gone.

    Parameters
    ----------
    lm : LanguageModel
        The original.
    selection : Selection
        Neurons that were pruned.
    config : PruningConfig
        How they were chosen.
    smaller : bool
        Whether they were taken out.
    settings : dict
        Texts, signals and method of the networks, as plain json.
    """
    uses_networks = config.criterion is Criterion.networks
    return {
        "pruned_from": lm.provenance,
        "criterion": config.criterion.value,
        "ratio": selection.ratio,
        "form": "smaller" if smaller else "masked",
        "bias_compensated": config.bias,
        "spared_blocks": list(selection.spared),
        "networks": settings if uses_networks else None,
        "version": version(),
        "blocks": [
            {
                "path": block.path,
                "width": block.width,
                "pruned": selection.pruned[block.columns].nonzero()[:, 0].tolist(),
                "threshold": threshold,
            }
            for block, threshold in zip(selection.layout.blocks, selection.thresholds, strict=True)
        ],
    }
