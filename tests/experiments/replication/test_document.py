"""The document is made from whatever was run, and each number in it is two clicks from its data."""

import json
import re

import pandas as pd
import pytest
from document import write_document
from step import MODELS
from steps import STEPS
from test_claims import row

NAMES = [model.name for model in MODELS.values()]


def leave(folder, model, step, **tables):
    """Leave a step as if it had run to its end."""
    place = folder / model / step
    (place / "sweep").mkdir(parents=True)
    for name, table in tables.items():
        pd.DataFrame(table).to_csv(place / "sweep" / f"{name}.csv", index=False)
    done = {"command": f"python evaluate.py -m step={step}", "seconds": 60.0, "commit": "0123456789"}
    (place / "done.json").write_text(json.dumps(done))
    return place


def scored(**more):
    names = [
        f"control_{kind}{side}" for kind in ("energy", "noise", "top_energy") for side in ("_low", "_high")
    ]
    return row(**more) | dict.fromkeys(names) | {"p_worse": 0.05, "p_better": 1.0, "job": 0}


def written(folder):
    file = folder / "document" / "replication.md"
    file.parent.mkdir(exist_ok=True)
    write_document(folder / "runs", file, overrides=["a=1"])
    return file


def test_without_any_step_all_are_named_with_their_commands(tmp_path):
    text = written(tmp_path).read_text(encoding="utf-8")
    assert "No step was run to its end." in text
    for step in STEPS:
        for model in MODELS:
            assert f"`python replication/run.py --models {model} --only {step.name}`" in text


@pytest.fixture
def partial(tmp_path):
    """Lesions of one model, and an experiment with its verdict of the other."""
    leave(tmp_path / "runs", "smollm2", "lesion", paper=[scored(metric="acc")])
    place = leave(tmp_path / "runs", "gemma3-270m", "sink", decisive=[{"lesion": "all", "value": 1.0}])
    (place / "sweep" / "decisive.md").write_text(
        "# Why?\n\n**The prediction that could have failed.** It\nholds.\n\n**Outcome.** The prediction "
        "failed on\nm.\n\n**Numbers.** Many.\n\n| a |\n| --- |\n| 1 |\n\n![Why?](figures/a.png)\n"
    )
    return written(tmp_path)


def test_a_claim_has_a_cell_for_each_model_with_a_link_to_its_section(partial):
    text = partial.read_text(encoding="utf-8")
    assert (
        "| Setting all networks to 0 impairs the model. | reproduced ([lesion](#lesion)) | not run |" in text
    )
    assert "| not run | The prediction failed on m. ([sink](#sink)) |" in text
    assert "\n### lesion\n" in text
    assert "\n### sink\n" in text
    assert "> **The prediction that could have failed.** It holds." in text


def test_a_section_has_command_commit_and_data(partial):
    text = partial.read_text(encoding="utf-8")
    assert "\n    python evaluate.py -m step=lesion\n" in text
    assert "60 s, code of `0123456789`: [smollm2_lesion.csv](data/replication/smollm2_lesion.csv)" in text
    kept = pd.read_csv(partial.parent / "data" / "replication" / "smollm2_lesion.csv")
    assert kept["value"].tolist() == [0.5]


def test_every_link_leads_to_a_file_or_a_heading(partial):
    text = partial.read_text(encoding="utf-8")
    headings = {each.lower() for each in re.findall(r"^#+ (\w+)$", text, re.M)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("method.md"):
            assert (partial.parent / target).is_file(), target


def test_what_was_not_run_is_named_and_what_was_is_not(partial):
    missing = partial.read_text(encoding="utf-8").partition("### Not run")[2]
    assert f"| {NAMES[0]} | sink |" in missing
    assert f"| {NAMES[1]} | lesion |" in missing
    assert f"| {NAMES[0]} | lesion |" not in missing


def test_the_papers_figures_stand_beside_ours(partial):
    text = partial.read_text(encoding="utf-8")
    table = text.partition("### All networks at 0")[2].partition("###")[0]
    assert "| the paper: GPT-2, fine-tuned | CoLA | 0.778 |" in table
    assert f"| {NAMES[0]} | a | 0.900 |" in table


def test_a_second_document_is_the_same(partial):
    text = partial.read_text(encoding="utf-8")
    assert written(partial.parent.parent).read_text(encoding="utf-8") == text
