"""Inference on scores: paired differences, ranks among draws of controls, power, corrections over a sweep."""
