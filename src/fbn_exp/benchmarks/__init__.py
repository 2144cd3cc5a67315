"""Score a model, and compare scores with a baseline and controls."""
