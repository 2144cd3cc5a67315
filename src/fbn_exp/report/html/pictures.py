"""Small PNG pictures as data URIs, with transparency for light and dark backgrounds."""

import base64
import io

import numpy as np
from matplotlib.image import imsave
from torch import Tensor

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Array
from fbn_exp.report.figures.networks import CLIP, blocks_by_neurons
from fbn_exp.report.style import NEGATIVE, POSITIVE

# levels of opacity: fewer levels make smaller files
STEPS = 15


def data_uri(values: Array, top: float) -> str:
    """Encode a matrix as PNG, one pixel per entry: hue is the sign, opacity |value| / top; NaN is empty."""
    known = np.nan_to_num(values)
    pixels = np.empty((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((known >= 0)[..., None], POSITIVE, NEGATIVE)
    opacity = np.round(STEPS * np.clip(np.abs(known) / max(top, 1e-12), 0, 1)) / STEPS
    pixels[..., 3] = np.round(255 * opacity)
    # colour under full transparency would enlarge the compressed file
    pixels[pixels[..., 3] == 0] = 0
    file = io.BytesIO()
    imsave(file, pixels, format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def map_uri(scores: Tensor, layout: NeuronLayout, widest: int) -> str:
    """Encode the map of a network, a row per block; wider blocks are pooled to the largest magnitude."""
    image = blocks_by_neurons(scores, layout)
    pool = -(-image.shape[1] // widest)
    filled = np.pad(image, ((0, 0), (0, -image.shape[1] % pool)), constant_values=np.nan)
    bins = filled.reshape(len(filled), -1, pool)
    best = np.abs(np.nan_to_num(bins)).argmax(axis=2)[..., None]
    return data_uri(np.take_along_axis(bins, best, axis=2)[..., 0], CLIP)
