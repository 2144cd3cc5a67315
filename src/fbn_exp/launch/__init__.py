"""Processes that jobs run in: one, many, or those of a cluster."""
