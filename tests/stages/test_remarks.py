"""Networks that do not say which texts they come from: used, but not silently."""

import dataclasses
import io
import json
import re

import pytest
from in_process import QUICK, composed
from rich.console import Console
from scripts import TINY, result_of
from wandb_files import recorded_runs

from fbn_exp.core.console import console
from fbn_exp.core.errors import NetworksError
from fbn_exp.core.files import sealed
from fbn_exp.networks.artifact import UNKNOWN_TEXTS, FunctionalNetworks
from fbn_exp.networks.files import SEAL
from fbn_exp.report.html.page import content_of
from fbn_exp.stages import evaluate, extract

LESION = (*TINY, "intervention=inhibit", "controls.repeats=1", "benchmark.dataset.n_texts=3")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extracted")
    cfg = composed(*TINY, *QUICK, f"cache={folder / 'cache'}", folder=folder / "run")
    extract.run(cfg)
    return folder


def without_digests(folder, kept):
    """Networks as their owner would save them after texts were removed; empty or absent."""
    networks = FunctionalNetworks.load(folder)
    provenance = {name: value for name, value in networks.provenance.items() if name != "text_digests"}
    if kept:
        provenance["text_digests"] = []
    dataclasses.replace(networks, provenance=provenance).save(folder)


def scored(extracted, run, *overrides):
    """Result, console and content of the report of a lesion of one network."""
    cfg = composed(
        *LESION,
        *(f"networks={extracted / 'run' / 'networks'}", "intervention.networks=[1]"),
        *("figures.dpi=30", f"cache={extracted / 'cache'}", *overrides),
        script="evaluate",
        folder=run,
    )
    evaluate.run(cfg)
    return result_of(run)


def test_known_texts_are_no_remark(extracted, tmp_path):
    assert UNKNOWN_TEXTS not in scored(extracted, tmp_path / "run", "tracking=none")["remarks"]
    # an extraction says how its fit went
    assert result_of(extracted / "run")["remarks"]


@pytest.mark.parametrize("kept", [False, True], ids=["absent", "empty"])
def test_unknown_texts_are_said_in_result_console_report_and_tracker(kept, extracted, tmp_path, monkeypatch):
    without_digests(extracted / "run" / "networks", kept)
    shown = io.StringIO()
    monkeypatch.setattr(console, "_file", shown)
    monkeypatch.setattr(console, "_width", 500) if isinstance(console, Console) else None
    result = scored(extracted, tmp_path / "run", "tracking=wandb")
    assert UNKNOWN_TEXTS in result["remarks"]
    assert UNKNOWN_TEXTS in re.sub(r"\s+", " ", shown.getvalue())
    assert UNKNOWN_TEXTS in content_of(extracted / "run" / "report.html")["remarks"]
    assert UNKNOWN_TEXTS in (extracted / "run" / "report.html").read_text()
    (run,) = recorded_runs(tmp_path / "run")
    assert UNKNOWN_TEXTS in json.dumps(run.summary)


def test_unknown_texts_are_said_of_an_analysis_of_texts(extracted, tmp_path):
    without_digests(extracted / "run" / "networks", False)
    small = ("analysis=connectivity", "tracking=none", *QUICK[1:], "analysis.dataset.n_texts=3")
    networks = f"networks={extracted / 'run' / 'networks'}"
    cfg = composed(*TINY, *small, networks, script="evaluate", folder=tmp_path)
    evaluate.run(cfg)
    assert UNKNOWN_TEXTS in result_of(tmp_path)["remarks"]


@pytest.mark.parametrize("digests", [5, "abc", [1, 2], {"a": 1}])
def test_digests_that_are_none_are_an_error_in_words(digests, extracted, tmp_path):
    networks = FunctionalNetworks.load(extracted / "run" / "networks")
    networks.save(tmp_path)
    file = tmp_path / "networks.json"
    description = json.loads(file.read_text())
    description.pop(SEAL)
    description["provenance"]["text_digests"] = digests
    file.write_text(json.dumps(sealed(description, SEAL)))
    with pytest.raises(NetworksError, match=r"provenance\.text_digests is .*, must be a list of digests"):
        FunctionalNetworks.load(tmp_path)
