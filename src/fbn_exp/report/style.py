"""Style shared by all figures: colours, and numbers in the cells of a matrix."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

# networks; their comparison; background
ACCENT, SECOND, GREY = "#1f4e79", "#c0571a", "#8a8a8a"
# chance level
CHANCE = "tab:red"
# any two of a set can be told apart with red-green blindness too
CONTROL_COLOURS = {
    "random": "tab:gray",
    "per_block": "#cdce29",
    "activation": "#dc8df6",
    "energy": "#ef7010",
    "noise": "#8d574b",
    "rotation": "#926ac3",
    "share": "tab:cyan",
    "top_energy": "#057000",
    "attribution": "#53759b",
}
NULL_COLOURS = {
    "masks": CONTROL_COLOURS["per_block"],
    "shift": CONTROL_COLOURS["energy"],
    "degrees": CONTROL_COLOURS["rotation"],
    "rotations": CHANCE,
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
