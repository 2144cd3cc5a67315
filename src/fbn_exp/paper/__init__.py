"""The paper's experiments as a sweep ends: its table, beside the paper's own figures, and a picture."""

from fbn_exp.paper.report import write_paper

__all__ = ["write_paper"]
