"""extract.py writes a report, and the lesion of one network by evaluate.py shows in it."""

import pandas as pd
import pytest
from scripts import TINY, finished, result_of

from fbn_exp.report.page import content_of

SMALL = (*TINY, "dataset.n_texts=16", "tracking=none")
LESION = (
    "intervention=inhibit",
    "intervention.networks=[2]",
    "benchmark.dataset.n_texts=4",
    "controls.repeats=2",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An extraction, the lesion of one of its networks, and the same extraction again."""
    folder = tmp_path_factory.mktemp("report")
    cache = f"cache={folder / 'cache'}"
    said = finished("extract.py", *SMALL, cache, f"hydra.run.dir={folder / 'first'}").stderr
    (folder / "before.html").write_bytes((folder / "first" / "report.html").read_bytes())
    networks = f"networks={folder / 'first' / 'networks'}"
    finished("evaluate.py", *SMALL, *LESION, cache, networks, f"hydra.run.dir={folder / 'lesion'}")
    finished("extract.py", *SMALL, cache, f"hydra.run.dir={folder / 'again'}")
    (folder / "said").write_text(said)
    return folder


def test_the_run_folder_holds_the_report_and_the_drivers(folder):
    result = result_of(folder / "first")
    assert result["artifacts"]["report"] == "report.html"
    table = pd.read_csv(folder / "first" / "tables" / "drivers.csv", keep_default_na=False)
    assert len(table) == 4
    assert [each["label"] for each in content_of(folder / "before.html")["networks"]] == list(table["label"])
    for name in ("kurtosis", "massive_share", "driver_position", "driver_first_token", "first_token_energy"):
        written = [result["metrics"][f"network/{index}/{name}"] for index in range(4)]
        assert written == pytest.approx([float(each) for each in table[name]])
    # one corpus: its driver does not apply
    assert not any(name.endswith("driver_domain") for name in result["metrics"])
    assert "report.html" in (folder / "said").read_text()


def test_a_lesion_shows_in_the_report_at_once_and_in_that_of_the_same_networks_made_again(folder):
    assert content_of(folder / "before.html")["lesions"] == []
    metrics = result_of(folder / "lesion")["metrics"]
    for run in ("first", "again"):
        (found,) = content_of(folder / run / "report.html")["lesions"]
        assert found["network"] == 2
        name = f"{found['task']}/{found['metric']}"
        assert found["delta"] == pytest.approx(metrics[f"delta/{name}"])
        assert found["controls"] == 6
    before, after = (content_of(folder / each) for each in ("before.html", "first/report.html"))
    assert {**before, "lesions": None} == {**after, "lesions": None}
