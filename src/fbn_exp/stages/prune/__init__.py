"""Networks or another criterion → a model without the other hidden neurons, scored before and after."""

from fbn_exp.stages.prune.stage import run

__all__ = ["run"]
