import json

import pytest

from fbn_exp.datasets.files import FilesDataset


@pytest.fixture
def texts_of(tmp_path):
    """Data set over texts, labelled or not, in the file that it reads them from."""

    def write(texts, labels=None, **settings):
        path = tmp_path / "texts.jsonl"
        rows = [{"text": text} | ({"label": labels[i]} if labels else {}) for i, text in enumerate(texts)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        defaults = {"n_texts": None, "min_tokens": 2, "label_field": "label" if labels else None}
        return FilesDataset([str(path)], **(defaults | settings))

    return write
