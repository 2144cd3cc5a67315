"""Findings of analyses as numbers, tables, pictures and words; importing this registers all of them."""

from fbn_exp.report.analyses import connectivity, consistency, overlap
from fbn_exp.report.presentation import Presentation, present

__all__ = ["Presentation", "connectivity", "consistency", "overlap", "present"]
