"""Stages that the entry scripts run: extract, evaluate, train, and sweeps over them."""
