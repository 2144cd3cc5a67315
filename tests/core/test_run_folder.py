import json
import math

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from fbn_exp.core.run_folder import RunFolder

ODD = st.text(
    st.sampled_from("\r\n\t,;\"'\\ NA1é\x00") | st.characters(exclude_categories=["Cs"]), max_size=5
)


def read(folder):
    return json.loads((folder / "result.json").read_text())


def test_what_was_added_is_on_disk_at_the_end_of_a_phase(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run", "extract")
    folder.add_metrics({"network/0/size": 3, "network/0/share": 0.5})
    assert not folder.path.exists()
    folder.write()
    assert read(folder.path) == {
        "stage": "extract",
        "finished": False,
        "metrics": {"network/0/size": 3.0, "network/0/share": 0.5},
        "remarks": [],
        "configuration": {},
        "artifacts": {},
    }
    folder.add_metrics({"nothing": math.nan})
    assert "nothing" not in read(folder.path)["metrics"]
    folder.write()
    assert math.isnan(read(folder.path)["metrics"]["nothing"])
    assert not read(folder.path)["finished"]
    folder.finish()
    assert read(folder.path)["finished"]
    assert [file.name for file in folder.path.iterdir()] == ["result.json"]


@example(tokens=["\r"])
@given(tokens=st.lists(ODD, min_size=1, max_size=6))
def test_any_text_comes_back_from_a_table(tokens, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("run"), "extract")
    frame = pd.DataFrame({"token": tokens, "strength": [0.1 * index for index in range(len(tokens))]})
    folder.add_table("strongest", frame)
    folder.write()
    again = pd.read_csv(
        folder.path / read(folder.path)["artifacts"]["tables/strongest"],
        keep_default_na=False,
        dtype={"token": str},
    )
    assert again["token"].tolist() == tokens
    assert again["strength"].tolist() == frame["strength"].tolist()


def test_pictures_are_drawn_one_after_the_other_and_named(tmp_path):
    folder = RunFolder(tmp_path, "extract")

    def cannot():
        raise ZeroDivisionError

    folder.add_figures({"first": Figure}, dpi=20)
    with pytest.raises(ZeroDivisionError):
        folder.add_figures({"second": Figure, "third": cannot}, dpi=20)
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == ["first.png", "second.png"]
    folder.write()
    assert read(tmp_path)["artifacts"]["figures/first"] == "figures/first.png"
