import io

import pandas as pd
import pytest

from fbn_exp.core.errors import printable
from fbn_exp.report import console
from fbn_exp.report.presentation import Presentation

HOSTILE = "a\x1b[2Jb [red]c[/red] [/d] :bomb:"
SHOWN = r"a\x1b[2Jb [red]c[/red] [/d] :bomb:"


@pytest.fixture
def written(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(console.console, "_file", file)
    monkeypatch.setattr(console.console, "_width", 200)
    return file


def test_names_in_tables_sentences_and_paths_cannot_steer_the_terminal(written, tmp_path):
    rows = pd.DataFrame({HOSTILE: [HOSTILE]})
    presentation = Presentation(
        title=HOSTILE, rows=rows, lines=[f"line {HOSTILE}"], remarks=[f"remark {HOSTILE}"]
    )
    console.show(presentation, ("Picture:", tmp_path / HOSTILE))
    text = written.getvalue()
    assert text.count(SHOWN) == 6
    assert printable(text) == text


def test_examples_stand_side_by_side_below_the_table(written):
    examples = pd.DataFrame({"untouched": ["a train", HOSTILE], "intervened": ["a a a", "b"]})
    console.show(Presentation(title="Scores", rows=pd.DataFrame({"task and metric": [1]}), examples=examples))
    text = written.getvalue()
    assert text.index("Scores") < text.index("untouched") < text.index("a train")
    assert SHOWN in text
