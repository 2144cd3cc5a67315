"""An objective that no metric has is refused before the model is scored."""

import json
import logging

import pytest
from in_process import QUICK, composed, marked_texts, run_stage
from scripts import LOCAL_TASK, TINY

from fbn_exp.benchmarks import evaluator
from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.core.errors import ConfigError
from fbn_exp.report.scores import evaluation_names
from fbn_exp.report.training import training_names
from fbn_exp.stages import evaluate
from fbn_exp.stages import train as train_stage
from fbn_exp.stages.build import built

LESION = (*TINY, "intervention=inhibit", "controls.repeats=1", "controls.share=0.1")
BENCHMARKS = {
    "perplexity": ("benchmark=perplexity", "benchmark.dataset.n_texts=3"),
    "divergence": ("benchmark=divergence", "benchmark.dataset.n_texts=3"),
    "generation": ("benchmark=generation", "benchmark.new_tokens=4"),
    "classification": ("benchmark=classification", "benchmark.dataset.n_texts=8"),
    "probes": ("benchmark=probes", "benchmark.tasks=[grammar,recall]", "benchmark.limit=3"),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return f"cache={tmp_path_factory.mktemp('cache')}"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_names_known_before_are_those_of_the_metrics(name, cache, tmp_path):
    overrides = (*LESION, *BENCHMARKS[name], cache)
    benchmark = built(composed(*overrides, script="evaluate").benchmark, Benchmark)
    known = evaluation_names(benchmark.score_names())
    metrics = run_stage("evaluate", tmp_path, *overrides)
    assert set(metrics) <= set(known)
    # what is known, but was not measured: chance where there is none, a factor where none was chosen,
    # kinds of controls that were not drawn, sizes of edits at chosen factors
    drawn = {each.split("/")[1] for each in metrics if each.startswith("control/")}
    missing = {
        each
        for each in set(known) - set(metrics)
        if not each.startswith("selected_factor/")
        and not (each.startswith("edit/") and each.endswith(tuple(benchmark.score_names())))
        and not (
            each.startswith(("control/", "edit/control/"))
            and each.removeprefix("edit/").split("/")[1] not in drawn
        )
    }
    assert {"random", "per_block", "activation", "share"} <= drawn
    assert {each for each in missing if "chance" not in each and "nats_per_text" not in each} == {
        "factors_tried"
    }


@pytest.mark.parametrize("name", BENCHMARKS)
def test_an_unknown_objective_is_refused_before_a_model_loads(name, tmp_path, caplog):
    cfg = composed(*LESION, *BENCHMARKS[name], "objective=nope", script="evaluate", folder=tmp_path)
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(ConfigError, match=r"objective is 'nope'.* it can be: "),
    ):
        evaluate.run(cfg)
    assert "loading" not in caplog.text


def test_a_close_name_is_proposed(tmp_path):
    cfg = composed(*LESION, "objective=perplexity_wiki/nats_per_tokn", script="evaluate", folder=tmp_path)
    with pytest.raises(ConfigError, match="did you mean perplexity_wiki/nats_per_token"):
        evaluate.run(cfg)


@pytest.fixture
def local(tmp_path):
    """A task whose names are known with its file, and one whose code decides about them."""
    rows = [{"question": f"Is {number} even?", "label": number % 2} for number in range(4)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks").mkdir()
    task = LOCAL_TASK.format(data=tmp_path / "mine.jsonl")
    (tmp_path / "tasks" / "mine.yaml").write_text(task)
    own = task.replace("task: mine", "task: own") + "process_results: !function own.results\n"
    (tmp_path / "tasks" / "own.yaml").write_text(own)
    (tmp_path / "tasks" / "own.py").write_text(
        "def results(doc, results):\n    return {'acc': 1.0, 'b': 0.0}\n"
    )
    return (
        "benchmark=lm_eval",
        f"benchmark.include_path={tmp_path / 'tasks'}",
        "benchmark.trust_task_code=true",
    )


@pytest.mark.parametrize(("task", "scorings"), [("mine", 0), ("own", 1)])
def test_a_task_of_lm_eval_is_scored_once_at_most(task, scorings, local, tmp_path, monkeypatch):
    counted = []
    score_under = evaluator.score_under
    monkeypatch.setattr(
        evaluator, "score_under", lambda *args, **own: counted.append(1) or score_under(*args, **own)
    )
    overrides = (*LESION, *local, f"benchmark.tasks=[{task}]", f"cache={tmp_path / 'cache'}", *QUICK)
    cfg = composed(*overrides, "objective=nope", script="evaluate", folder=tmp_path / "run")
    with pytest.raises(ConfigError, match=f"objective is 'nope'.*{task}/acc"):
        evaluate.run(cfg)
    assert len(counted) == scorings
    monkeypatch.undo()
    cfg = composed(*overrides, f"objective={task}/acc", script="evaluate", folder=tmp_path / "run")
    assert evaluate.run(cfg) is not None


def test_training_is_refused_before_its_first_update(tmp_path, monkeypatch):
    texts = marked_texts(tmp_path / "marked.jsonl", 120)
    quick = ("model=tiny", "task.dev_texts=5", "task.test_texts=10", "trainer.max_steps=2", *QUICK)
    quick += ("trainer.evaluation_interval=2", f"cache={tmp_path / 'cache'}")
    metrics = run_stage("train", tmp_path / "good", *quick, *texts)
    assert set(metrics) <= set(training_names([each for each in metrics if each.count("/") == 1]))

    def never(*_, **__):
        raise AssertionError("the model was trained")

    monkeypatch.setattr(train_stage, "fit", never)
    cfg = composed(*quick, *texts, "objective=nope", script="train", folder=tmp_path / "bad")
    with pytest.raises(ConfigError, match=r"objective is 'nope'.*classification_files/acc"):
        train_stage.run(cfg)


def test_many_controls_are_announced_with_their_cost(cache, tmp_path, caplog, monkeypatch):
    class Drawn(Exception):  # noqa: N818 - the test ends here
        pass

    def drawn(*_):
        raise Drawn

    monkeypatch.setattr(evaluate, "drawn_controls", drawn)
    overrides = (*LESION, *BENCHMARKS["perplexity"], cache, *QUICK, "controls.repeats=10000")
    with pytest.raises(Drawn):
        evaluate.run(composed(*overrides, script="evaluate", folder=tmp_path))
    (said,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert said.startswith("controls.repeats=10000 asks for 70,002 scorings × ")
    assert " s, less what is cached" in said
    with pytest.raises(ConfigError, match=r"controls\.repeats is 100000, must be at most 10000"):
        evaluate.run(composed(*overrides, "controls.repeats=100000", script="evaluate", folder=tmp_path))
