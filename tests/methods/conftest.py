import pytest

import fbn_exp as fbn


@pytest.fixture(scope="session")
def recorded_signals(embedded_model):
    """Outputs of all MLP neurons of SmolLM2-135M for 30 short texts, shape (T, 17280)."""
    texts = fbn.load_texts("wiki", embedded_model, n_texts=30, tokens_per_text=64)
    return fbn.record(embedded_model, texts).values.clone()
