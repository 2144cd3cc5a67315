"""Colours of the pictures can be told apart, by people with red-green blindness too."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fbn_exp.report.style import ACCENT, CHANCE, CONTROL_COLOURS, NULL_COLOURS

# linear RGB as it is seen (Machado, Oliveira & Fernandes 2009, severity 1)
SEEN = {
    "all colours": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# of CIE Lab: 2 can just be seen side by side
APART = 14


def lab(colour, seen):
    encoded = np.array(to_rgb(colour))
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(seen) @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_measure_knows_colours_that_are_confused():
    def apart(seen):
        return np.linalg.norm(lab("tab:olive", SEEN[seen]) - lab("tab:orange", SEEN[seen]))

    assert apart("all colours") > 50
    assert apart("deuteranopia") < 8


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("colours", [CONTROL_COLOURS, NULL_COLOURS], ids=["controls", "nulls"])
def test_no_two_colours_of_a_picture_are_alike(colours, seen):
    known = {**colours, "networks": ACCENT, "chance": CHANCE}
    alike = [
        (one, other)
        for one, other in itertools.combinations(known, 2)
        if {one, other} != {"rotations", "chance"}
        and np.linalg.norm(lab(known[one], SEEN[seen]) - lab(known[other], SEEN[seen])) < APART
    ]
    assert alike == []
