"""Threshold rules that turn a map into a mask."""
