"""Finished steps kept with the code: what the document is made of, and no more."""

import json
from pathlib import Path

import pytest
from records import keep, restore
from runner import BEGUN, DONE, done_before
from step import MODELS
from steps import STEPS

MODEL = MODELS["smollm2"]
COMMAND = "python evaluate.py -m model=smollm2"


def finished(folder: Path, name: str, command: str = COMMAND) -> Path:
    place = folder / MODEL.option / name
    for file in ("sweep/paper.csv", "sweep/figures/paper_lesion.png", "0/result.json", "0/tables/items.csv"):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(f"{name} {file}")
    (place / "0" / "checkpoint").mkdir()
    (place / "0" / "checkpoint" / "model.safetensors").write_text("large")
    for mark in (BEGUN, DONE):
        (place / mark).write_text(json.dumps({"command": command}))
    return place


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_finished_steps_are_kept_and_come_back_without_checkpoints(tmp_path):
    run, records, other = tmp_path / "run", tmp_path / "records", tmp_path / "other"
    place = finished(run, "lesion")
    (finished(run, "sink") / DONE).unlink()
    keep(run, records, [MODEL], STEPS)
    kept = {file for file in files(place) if "checkpoint" not in file and "items" not in file}
    assert files(records) == {f"{MODEL.option}/lesion/{file}" for file in kept}
    restore(records, other, [MODEL], STEPS)
    assert files(other) == files(records)
    assert done_before(other / MODEL.option / "lesion", COMMAND)


def test_answers_to_items_are_kept_where_the_document_needs_them(tmp_path):
    finished(tmp_path / "run", "lesion_functions")
    keep(tmp_path / "run", tmp_path / "records", [MODEL], STEPS)
    assert f"{MODEL.option}/lesion_functions/0/tables/items.csv" in files(tmp_path / "records")


@pytest.mark.parametrize("mark", [BEGUN, DONE])
def test_what_was_run_or_begun_here_is_not_replaced(tmp_path, mark):
    run, records, other = tmp_path / "run", tmp_path / "records", tmp_path / "other"
    finished(run, "lesion")
    keep(run, records, [MODEL], STEPS)
    own = finished(other, "lesion", command="another")
    for each in {BEGUN, DONE} - {mark}:
        (own / each).unlink()
    before = files(own)
    restore(records, other, [MODEL], STEPS)
    assert files(own) == before
    assert not done_before(own, COMMAND)


def test_a_newer_run_replaces_the_records_of_the_older(tmp_path):
    run, records = tmp_path / "run", tmp_path / "records"
    place = finished(run, "lesion")
    keep(run, records, [MODEL], STEPS)
    (place / "sweep" / "paper.csv").rename(place / "sweep" / "scores.csv")
    keep(run, records, [MODEL], STEPS)
    assert not (records / MODEL.option / "lesion" / "sweep" / "paper.csv").exists()
    assert (
        records / MODEL.option / "lesion" / "sweep" / "scores.csv"
    ).read_text() == "lesion sweep/paper.csv"


def test_a_step_whose_checkpoints_are_missing_is_run_again(tmp_path):
    place = finished(tmp_path, "classifiers")
    assert done_before(place, COMMAND, "*/checkpoint")
    (place / "0" / "checkpoint" / "model.safetensors").unlink()
    (place / "0" / "checkpoint").rmdir()
    assert done_before(place, COMMAND)
    assert not done_before(place, COMMAND, "*/checkpoint")
