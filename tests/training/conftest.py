import json

import numpy as np
import pytest

from fbn_exp.datasets.files import FilesDataset
from fbn_exp.training.tasks import LanguageModelingTask


@pytest.fixture
def separable(tmp_path):
    """Labelled texts: random letters, then a mark that tells the label; four of five are labelled up."""
    rng = np.random.default_rng(0)
    path = tmp_path / "marked.jsonl"
    rows = []
    for number in range(300):
        letters = "".join(rng.choice(list("abcdefgh"), size=12))
        label = "down" if number % 5 == 0 else "up"
        rows.append({"text": letters + {"up": "+", "down": "-"}[label], "label": label})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FilesDataset([str(path)], label_field="label", n_texts=None, min_tokens=2)


@pytest.fixture
def small_test_parts():
    """Language modelling that scores a few texts only."""
    return LanguageModelingTask(dev_texts=4, test_texts=4)
