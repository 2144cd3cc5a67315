"""Typed schemas behind every yaml in ``conf/``: a wrong key, type or choice fails at composition."""

from fbn_exp.config.register import register

__all__ = ["register"]
