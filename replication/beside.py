"""What a comparison with controls could have seen, and at which energy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fbn_exp.interventions.config import ControlKind


def seeing(rows: pd.DataFrame, detectable: "pd.Series[float]") -> list[float]:
    """Effects beside controls that could have been seen; infinite above half of the networks' own harm.

    If controls cost nothing, the difference is the networks' own harm; where half of it could not have been
    seen, nothing that is likely could. Where the networks show no harm, what could be seen stays as it is.
    """
    half = (rows["value"] - rows["untouched"]).abs() / 2
    return [float(each) for each in detectable.where(~(rows["harms"] & (detectable > half)), np.inf)]


def energy_in_words(rows: pd.DataFrame, kinds: Sequence[ControlKind]) -> str:
    """Energy that controls remove, as a share of what the networks' edit does; empty if it is unknown."""
    names = [f"control_{kind}_energy" for kind in kinds if f"control_{kind}_energy" in rows]
    ratios = rows[names].div(rows["energy"], axis=0).to_numpy(float) if names else np.array([])
    known = ratios[np.isfinite(ratios)]
    if not known.size:
        return ""
    low, high = (f"{each:.2%}" if each < 0.1 else f"{each:.0%}" for each in (known.min(), known.max()))
    return f"{low if low == high else f'{low} to {high}'} of the energy"
