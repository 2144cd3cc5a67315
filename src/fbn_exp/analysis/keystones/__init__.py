"""Keystones: neurons without which alone the model loses more than half a nat per token."""
