"""Rules that turn a map into a mask."""
