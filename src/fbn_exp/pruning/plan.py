"""Plan of pruning: which blocks are spared, and whether a smaller checkpoint can hold what is left."""

import dataclasses
from dataclasses import dataclass

import torch

from fbn_exp.core.errors import PruningError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.pruning.architecture import Holding, hidden_layout, holding
from fbn_exp.pruning.config import Form, PruningConfig
from fbn_exp.pruning.selection import Selection, select, spared_blocks


@dataclass(frozen=True)
class Plan:
    """What can be pruned of a model, and what becomes of it.

    Attributes
    ----------
    layout : NeuronLayout
        Hidden neurons of the model.
    spared : tuple of int
        Indices of the blocks that are left as they are.
    smaller : bool
        Whether pruned neurons are taken out; if not, their weights become zero.
    remarks : tuple of str
        What differs from what may be expected.
    """

    layout: NeuronLayout
    spared: tuple[int, ...]
    smaller: bool
    remarks: tuple[str, ...] = ()


def plan_pruning(lm: LanguageModel, config: PruningConfig) -> Plan:
    """Plan before anything is recorded or scored, so that what cannot be done is refused at once.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    config : PruningConfig
        Ratio, form, spared blocks and bias.

    Raises
    ------
    PruningError
        If the model has no hidden neurons to prune, if a bias is asked for that its architecture lacks, or if
        it cannot hold what is left and ``form`` is ``smaller``.
    """
    layout = hidden_layout(lm)
    spared = spared_blocks(len(layout.blocks), config.spared_first, config.spared_last)
    if config.form is Form.masked:
        # refuses a bias that the architecture lacks
        holding(lm.model, layout, [block.width for block in layout.blocks], config.bias)
        return Plan(layout, spared, smaller=False)
    kind = type(lm.model).__name__
    if _holds(lm, layout, spared, config):
        return Plan(layout, spared, smaller=True)
    asked = config.spared_first is not None or config.spared_last is not None
    if not asked and _holds(lm, layout, (), config):
        remark = (
            f"{kind} has one width for all blocks: blocks {', '.join(map(str, spared))} are pruned as the "
            "others are, where the paper spares first and last ones; prune.form=masked spares them, in a "
            "checkpoint of the same size."
        )
        return Plan(layout, (), smaller=True, remarks=(remark,))
    why = f"{kind} cannot hold the widths that are left of its hidden layers"
    if config.form is Form.smaller:
        raise PruningError(
            f"prune.form is smaller, and {why}: take prune.spared_first=0, prune.spared_last=0 and "
            "prune.allocation=equal if it has one width for all blocks, else prune.form=masked"
        )
    remark = (
        f"{why}: the weights of pruned neurons are zero, and the checkpoint is as large and as slow as "
        "before."
    )
    return Plan(layout, spared, smaller=False, remarks=(remark,))


def held(lm: LanguageModel, plan: Plan, selection: Selection, bias: bool) -> Holding:
    """Configuration of what is left of a model after a selection."""
    full = [block.width for block in plan.layout.blocks]
    if not plan.smaller:
        return dataclasses.replace(holding(lm.model, plan.layout, full, bias), smaller=False)
    return holding(lm.model, plan.layout, selection.widths, bias)


def _holds(lm: LanguageModel, layout: NeuronLayout, spared: tuple[int, ...], config: PruningConfig) -> bool:
    """Whether a smaller checkpoint can hold a selection; of one threshold for all blocks, unequal widths."""
    uneven = torch.arange(layout.n_neurons, dtype=torch.float64)
    example = select(uneven, layout, spared, config)
    return holding(lm.model, layout, example.widths, config.bias).smaller
