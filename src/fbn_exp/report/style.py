"""Colour of each kind of control, the same in all pictures."""

CONTROL_COLOURS = {
    "random": "tab:gray",
    "per_block": "tab:olive",
    "activation": "tab:pink",
    "share": "tab:cyan",
}
