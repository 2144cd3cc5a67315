"""Split-half reliability of a single fit."""

import pytest
import torch

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.localizer.config import Contrast
from fbn_exp.methods.localizer.method import Localizer
from fbn_exp.reliability.halves import SplitHalves
from fbn_exp.thresholds.z import ZThreshold


def signals(seed=0):
    """Two sources with heavy tails in 40 neurons, 12 texts of 100 tokens."""
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randn(1200, 2, generator=generator) ** 3
    noise = 0.1 * torch.randn(1200, 40, generator=generator)
    return sources @ torch.randn(2, 40, generator=generator) + noise, Rows((100,) * 12)


def test_networks_of_sources_agree_between_halves_beyond_rotations():
    values, rows = signals()
    found = SplitHalves(splits=1, rotations=99).wrap(ICA(n_components=2, seed=0), ZThreshold())
    found.fit(values, rows)
    plain = ICA(n_components=2, seed=0).fit(values, rows)
    assert (found.statistics_["split_half"] > 0.98).all()
    assert (found.statistics_["split_half"] > found.statistics_["split_half_null"] + 0.05).all()
    r = torch.corrcoef(torch.cat([found.maps_, plain.maps_]))[:2, 2:].abs()
    torch.testing.assert_close(r.amax(dim=1), torch.ones(2), atol=1e-3, rtol=0)


def test_a_single_text_has_no_halves():
    values, _ = signals()
    with pytest.raises(MethodError, match="there is one"):
        SplitHalves().wrap(ICA(n_components=2), ZThreshold()).fit(values, Rows((1200,)))


def test_a_localizer_is_left_as_it_is():
    localizer = Localizer(contrasts={"one": Contrast(["a"], ["b"])})
    assert SplitHalves().wrap(localizer, ZThreshold()) is localizer
