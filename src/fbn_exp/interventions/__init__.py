"""Intervene on the neurons of networks: targets, edits, controls, folding into weights."""
