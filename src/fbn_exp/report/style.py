"""Style shared by all figures: colours, and numbers in the cells of a matrix."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

# networks; their comparison; background
ACCENT, SECOND, GREY = "#1f4e79", "#c0571a", "#8a8a8a"
# chance level
CHANCE = "tab:red"
CONTROL_COLOURS = {
    "random": "tab:gray",
    "per_block": "tab:olive",
    "activation": "tab:pink",
    "energy": "tab:orange",
    "noise": "tab:brown",
    "rotation": "tab:purple",
    "share": "tab:cyan",
    "top_energy": "tab:green",
    "attribution": "tab:blue",
}
NULL_COLOURS = {
    "masks": "tab:olive",
    "shift": "tab:orange",
    "degrees": "tab:purple",
    "rotations": "tab:red",
}
NULLS = {
    "masks": "random masks",
    "shift": "shifted signals",
    "degrees": "equal degrees",
    "rotations": "rotations",
}
RETEST = "tab:green"
# middle tones, distinct on white and near-black backgrounds and with red-green blindness
POSITIVE, NEGATIVE = (0xD9, 0x5F, 0x30), (0x3B, 0x82, 0xC4)


# where members go
ARROWS = {"up": "↑", "down": "↓", "up and down": "↕", "": ""}


def is_dark(image: AxesImage, value: float) -> bool:
    """Whether white text is easier to read on the colour of a value than black text, by its luminance."""
    red, green, blue, _ = np.ravel(image.to_rgba(np.array([value])))
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)


def number_cells(
    axes: Axes, values: NDArray[np.float64], dark: NDArray[np.bool_], form: str = "{:.2f}"
) -> None:
    """Write the values of a matrix into its cells, in white where a cell is dark; nothing for NaN."""
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if dark[row, column] else "black"
            text = form.format(value)
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
