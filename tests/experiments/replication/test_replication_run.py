"""The whole replication on the tiny model, through replication/run.py, as make paper-quick runs it."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from scripts import REPOSITORY
from steps import STEPS

SMALL = ("model=tiny", "dataset.n_texts=20", "dataset.tokens_per_text=48")
# one step that needs another's result, and one that nothing needs
SOME = ("generation", "classifiers", "tuned_lesion")


def replicate(folder, *arguments):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "FBN_EXP_CACHE": str(folder)}
    document = folder / "document" / "replication.md"
    document.parent.mkdir(exist_ok=True)
    places = ("--folder", str(folder / "steps"), "--document", str(document))
    done = subprocess.run(
        [sys.executable, "replication/run.py", "--quick", "--models", "smollm2", *places, *arguments, *SMALL],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done, document


@pytest.mark.slow
def test_steps_are_run_once_and_the_document_has_their_commands_tables_and_pictures(tmp_path):
    done, document = replicate(tmp_path, "--only", ",".join(SOME))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"== \d\d:\d\d, after 0 s: to run: 3 steps, \d at a time, ", done.stdout)
    told = re.findall(r"smollm2/(\w+): (?:done in|python)", done.stdout)
    assert told.index("classifiers") < told.index("tuned_lesion")
    assert told[-1] == "tuned_lesion"
    text = document.read_text(encoding="utf-8")
    assert "too few to judge a claim by" in text
    assert "python train.py -m model=tiny experiment=decisive/classifiers" in text
    assert "| Setting all networks to 0 impairs the model. | raw |" in text
    assert "network 0 set to 0" in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert [each.rpartition("/")[2] for each in pictures] == [
        "smollm2_classifiers_forgetting.png",
        "smollm2_generation_paper_generation.png",
        "smollm2_generation_lesion_map.png",
        "smollm2_tuned_lesion_paper_lesion.png",
    ]
    assert all((document.parent / each).stat().st_size > 10_000 for each in pictures)
    again, _ = replicate(tmp_path, "--only", ",".join(SOME))
    assert again.stdout.count("done before") == len(SOME)
    assert document.read_text(encoding="utf-8") == text


def test_a_failed_step_is_named_and_the_others_are_in_the_document(tmp_path):
    # there is no checkpoint for the second step
    done, document = replicate(tmp_path, "--only", "generation,tuned_lesion")
    assert done.returncode == 1
    assert "failed: smollm2/tuned_lesion" in done.stderr
    # the end of its console says why
    assert "smollm2/tuned_lesion: failed; the end of its console:" in done.stdout
    assert "classifiers/tweets-0/checkpoint" in done.stdout.partition("the end of its console:")[2]
    text = document.read_text(encoding="utf-8")
    assert '<a id="generation"></a>' in text
    assert '<a id="tuned_lesion"></a>' not in text
    assert "--only tuned_lesion" in text.partition("## Not run")[2]


def test_a_document_written_without_a_run_leaves_the_records_as_they_are(tmp_path):
    records, older = tmp_path / "records", tmp_path / "steps" / "smollm2" / "networks"
    for place in (records / "smollm2" / "networks", older):
        shutil.copytree(REPOSITORY / "replication" / "records" / "smollm2" / "networks", place)
    older_mark = json.loads((older / "done.json").read_text()) | {"seconds": 12_345.0}
    (older / "done.json").write_text(json.dumps(older_mark))
    before = {file: file.read_bytes() for file in records.rglob("*") if file.is_file()}
    done, document = replicate(tmp_path, "--write-only", "--records", str(records))
    assert done.returncode == 0, done.stderr
    assert "12,345 s" in document.read_text(encoding="utf-8")
    assert {file: file.read_bytes() for file in records.rglob("*") if file.is_file()} == before


def test_an_unknown_step_or_model_is_named_with_those_that_exist(tmp_path):
    done, document = replicate(tmp_path, "--only", "lesions")
    assert done.returncode == 2
    assert "no step lesions; there are: networks, sink, consistency," in done.stderr
    done, document = replicate(tmp_path, "--models", "gpt2")
    assert done.returncode == 2
    assert "no model gpt2; there are: smollm2, gemma3-270m" in done.stderr
    assert not document.exists()


@pytest.mark.slow
def test_every_step_of_the_quick_variant_runs(tmp_path):
    done, document = replicate(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    text = document.read_text(encoding="utf-8")
    for step in STEPS:
        assert (f'<a id="{step.name}"></a>' in text) == (step.quick is not None), step.name
