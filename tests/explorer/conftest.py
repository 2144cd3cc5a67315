import pytest

import fbn_exp as fbn
from fbn_exp.explorer.workbench import Workbench


@pytest.fixture(scope="session")
def extraction(tmp_path_factory):
    """A tiny model, texts, and networks of them with their time courses."""
    lm = fbn.load_model("tiny", cache=tmp_path_factory.mktemp("cache"))
    texts = fbn.load_texts("wiki", lm, n_texts=12, tokens_per_text=96)
    signals = fbn.record(lm, texts, standardise="zscore", skip_first=1)
    return lm, texts, fbn.fit(fbn.ICA(n_components=6), signals, keep_time_courses=True)


@pytest.fixture
def bench(extraction, tmp_path):
    lm, _, networks = extraction
    return Workbench(lm, networks, fbn.ZThreshold(), tmp_path / "networks", tmp_path / "cache")
