"""Presentations of the analyses' findings; importing this package registers all of them."""

from fbn_exp.report.analyses import connectivity, consistency, fingerprint, keystones, order, overlap
from fbn_exp.report.presentation import Presentation, present

__all__ = [
    "Presentation",
    "connectivity",
    "consistency",
    "fingerprint",
    "keystones",
    "order",
    "overlap",
    "present",
]
