import json
import os
import subprocess
import sys
from pathlib import Path

import lm_eval
import pytest
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from fbn_exp.benchmarks import probes

LIMIT = 40


@pytest.fixture(scope="module")
def manager():
    return TaskManager(include_path=str(probes.folder()), include_defaults=False)


@pytest.fixture(scope="module")
def harness(embedded_model):
    return HFLM(embedded_model.model, tokenizer=embedded_model.tokenizer, batch_size=16)


def test_battery_is_what_lm_eval_finds(manager):
    assert set(manager.all_subtasks) == {*probes.BATTERY, *(f"{task}_dev" for task in probes.BATTERY)}
    assert set(manager.all_tags) == {"fbn_probes", "fbn_probes_dev"}


def test_a_task_scores_its_test_half_and_dev_its_dev_half(manager, probe, drawn):
    name = f"fbn_{probe}"
    tasks = manager.load([name, f"{name}_dev"])["tasks"]
    for task, half in ((tasks[name], "test"), (tasks[f"{name}_dev"], "dev")):
        first = drawn(probe, half)[0]
        doc = task.eval_docs[0]
        assert len(task.eval_docs) == 400
        assert task.config.metadata["chance"] == probes.chance(name)
        assert task.fewshot_context(doc, 0) == first.text
        assert task.doc_to_choice(doc) == list(first.choices)
        assert task.doc_to_target(doc) == first.gold


def test_metadata_asks_for_more_items_and_other_ones(drawn):
    metadata = {"n_items": 500, "item_seed": 1, "pretrained": "a/model"}
    manager = TaskManager(include_path=str(probes.folder()), include_defaults=False, metadata=metadata)
    docs = manager.load(["fbn_copying"])["tasks"]["fbn_copying"].eval_docs
    assert len(docs) == 500
    assert docs[0]["text"] != drawn("copying")[0].text


def test_choices_are_single_tokens_after_one_context(embedded_model, probe, drawn):
    def encoded(text):
        return embedded_model.tokenizer(text)["input_ids"]

    passes = 0
    for item in drawn(probe)[:200]:
        context = encoded(item.text)
        wholes = [encoded(item.text + choice) for choice in item.choices]
        assert all(whole[: len(context)] == context and len(whole) > len(context) for whole in wholes)
        passes += len({tuple(whole[:-1]) for whole in wholes})
    # lm-eval runs the model once for all continuations that differ in their last token only
    assert passes <= 1.1 * 200


def test_model_is_above_chance_and_choices_share_its_passes(harness, manager, monkeypatch):
    rows = []
    run = harness._model_call

    def counted(inputs, **options):
        rows.append(len(inputs))
        return run(inputs, **options)

    monkeypatch.setattr(harness, "_model_call", counted)
    tasks = ["fbn_grammar", "fbn_recall"]
    scores = lm_eval.simple_evaluate(harness, tasks=tasks, limit=LIMIT, task_manager=manager)["results"]
    # 0.79 and 0.53 are three standard errors above guessing
    assert scores["fbn_grammar"]["acc,none"] > 0.79
    assert scores["fbn_recall"]["acc,none"] > 0.53
    assert sum(rows) <= 2 * LIMIT


def test_the_command_lm_eval_runs_a_task(tmp_path, cache_folder, embedded_model):
    checkpoint = next((cache_folder / "models").glob("SmolLM2-135M-Instruct*/config.json")).parent
    command = [
        str(Path(sys.executable).parent / "lm_eval"), "run", "--model", "hf", "--model_args",
        f"pretrained={checkpoint},dtype=float32", "--tasks", "fbn_grammar_dev", "--limit", "8",
        "--include_path", str(probes.folder()), "--device", "cpu", "--output_path", str(tmp_path),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    written = json.loads(next(tmp_path.rglob("results_*.json")).read_text())
    assert written["n-samples"]["fbn_grammar_dev"] == {"original": 400, "effective": 8}
    assert written["configs"]["fbn_grammar_dev"]["metadata"]["chance"] == 0.5
