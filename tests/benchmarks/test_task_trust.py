"""Task files of others: nothing in them runs unless the yaml says so."""

import json
import logging
import re

import pytest
from scripts import LOCAL_TASK, run_script
from zoo import TINY

from fbn_exp.benchmarks.harness.tasks import Harness
from fbn_exp.benchmarks.harness.trust import METRICS, task_code
from fbn_exp.core.errors import BenchmarkError, ConfigError
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer, random_model

MARK = "open({mark!r}, 'w').close()\ndef same(docs):\n    return docs\n"


@pytest.fixture
def tasks(tmp_path):
    """A folder with a task over a local file, and a Python file beside it that leaves a mark if it is run."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"question": f"Is {number} even?", "label": number % 2} for number in range(4)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "mine.yaml").write_text(LOCAL_TASK.format(data=tmp_path / "mine.jsonl"))
    (folder / "utils.py").write_text(MARK.format(mark=str(tmp_path / "ran")))
    return folder


def add(folder, text):
    with (folder / "mine.yaml").open("a") as file:
        file.write(text)


CODE = {
    "a function": ("process_docs: !function utils.same\n", 11, "!function utils.same"),
    "its tag spelt out": ("process_docs: !<!function> utils.same\n", 11, "!function utils.same"),
    "its tag in escapes": ("process_docs: !f%75nction utils.same\n", 11, "!function utils.same"),
    "a function in a list": ("x:\n- {y: [!function 'utils.same']}\n", 12, "!function utils.same"),
    "a function by an anchor": ("x: &f !function utils.same\ny: *f\n", 11, "!function utils.same"),
    "a class": ("class: !function utils.same\n", 11, "!function utils.same"),
    "a metric of the hub": ("metric_list: [{metric: someone/evil}]\n", 11, "someone/evil"),
    "a metric in a folder": ("metric_list:\n- metric: ./evil\n", 12, "./evil"),
    "a metric of evaluate": ("metric_list: [{metric: acc, hf_evaluate: yes}]\n", 11, "hf_evaluate"),
    "a merged metric": ("x: &m {metric: evil}\nmetric_list: [{<<: *m}]\n", 11, "metric evil"),
    "code of a data set": ("dataset_kwargs: {trust_remote_code: true}\n", 11, "trust_remote_code"),
    "a pickle": ("dataset_path: pandas\n", 1, "unpickles"),
    "a Python object": ("x: !!python/name:os.system ''\n", 11, "python/name"),
}


@pytest.mark.parametrize(("text", "line", "what"), CODE.values(), ids=CODE)
def test_a_file_that_runs_code_is_refused_with_its_line_and_the_setting(tasks, text, line, what):
    if line == 1:
        (tasks / "mine.yaml").write_text(text)
    else:
        add(tasks, text)
    with pytest.raises(ConfigError) as caught:
        Harness(["mine"], include_path=str(tasks))
    said = str(caught.value)
    assert f"{tasks / 'mine.yaml'} line {line}: " in said
    assert what in said
    assert "benchmark.trust_task_code=true" in said
    assert not (tasks.parent / "ran").exists()
    Harness(["mine"], include_path=str(tasks), trust_task_code=True)


@pytest.mark.parametrize("name", ["../outside/base", "_template", "sub/deep.txt", "{root}/outside/base"])
def test_what_a_file_includes_is_checked_too(tasks, tmp_path, name):
    included = tasks / name.format(root=tmp_path)
    included.parent.mkdir(exist_ok=True, parents=True)
    # the second step of a chain, which goes round in a circle
    included.write_text("include: second\n")
    (included.parent / "second").write_text(f"include: {included}\nprocess_docs: !function utils.same\n")
    add(tasks, f"include: [{name.format(root=tmp_path)}]\n")
    with pytest.raises(ConfigError, match=r"second line 2: !function utils\.same"):
        Harness(["mine"], include_path=str(tasks))


def test_links_and_groups_are_checked_too(tasks, tmp_path):
    (tmp_path / "away.txt").write_text("group: g\ntask: [{task: mine, process_docs: !function utils.same}]\n")
    (tasks / "sub").mkdir()
    (tasks / "sub" / "linked.yaml").symlink_to(tmp_path / "away.txt")
    with pytest.raises(ConfigError, match=r"away.txt line 2: !function"):
        Harness(["mine"], include_path=str(tasks))


def test_files_that_lm_eval_cannot_read_either_are_passed_over(tasks):
    (tasks / "broken.yaml").write_text("a: [")
    (tasks / "two.yaml").write_text("a: !function utils.same\n---\nb: 1\n")
    (tasks / "dangling.yaml").symlink_to(tasks / "nowhere")
    (tasks / "folder.yaml").mkdir()
    add(tasks, "include: absent\n")
    assert task_code(tasks) == []


def test_a_file_too_deep_to_be_checked_is_refused(tasks):
    # so deep that composing it would crash the interpreter
    (tasks / "deep.yaml").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ConfigError, match=r"deep.yaml line 1: nested too deeply to be checked"):
        Harness(["mine"], include_path=str(tasks))


def test_files_of_this_package_and_of_lm_eval_are_trusted(tasks):
    from fbn_exp.benchmarks import probes
    from fbn_exp.core.package_file import package_folder

    assert task_code(probes.folder()) == []
    assert task_code(package_folder("lm_eval") / "tasks" / "hellaswag") == []
    add(tasks, f"include: {package_folder('lm_eval')}/tasks/hellaswag/hellaswag.yaml\n")
    assert task_code(tasks) == []


def test_the_metrics_of_lm_eval_are_known():
    from lm_eval.api import metrics  # noqa: F401 - fills the registry
    from lm_eval.api.registry import METRIC_REGISTRY

    assert set(METRIC_REGISTRY.keys()) == METRICS


@pytest.fixture(scope="module")
def lm():
    config = ModelConfig(name="random:llama", dtype=Precision.float32, device="cpu", random=TINY)
    return LanguageModel(random_model("llama", TINY).eval(), byte_tokenizer(), config, None)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_trusted_code_runs_and_is_logged_once_with_the_files_name(lm, tasks, own_cache, caplog):
    add(tasks, "process_docs: !function utils.same\n")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            benchmark = Harness(["mine"], include_path=str(tasks), trust_task_code=True)
            benchmark.prepare(lm)
    assert (tasks.parent / "ran").exists()
    said = [each.getMessage() for each in caplog.records if "trust_task_code" in each.getMessage()]
    assert len(said) == 1
    assert str(tasks / "mine.yaml") in said[0]


ESCAPE = "{{ cycler.__init__.__globals__.os.mkdir('MARK') }}"


def test_a_template_cannot_run_code(lm, tasks, own_cache):
    mark = tasks.parent / "ran"
    text = (tasks / "mine.yaml").read_text()
    (tasks / "mine.yaml").write_text(text.replace("{{question}}", ESCAPE.replace("MARK", str(mark))))
    benchmark = Harness(["mine"], include_path=str(tasks))
    with pytest.raises(BenchmarkError, match=r"template was stopped .*benchmark\.trust_task_code=true"):
        benchmark.prepare(lm)
    assert not mark.exists()
    Harness(["mine"], include_path=str(tasks), trust_task_code=True).prepare(lm)
    assert mark.exists()


def test_a_template_that_only_runs_when_scored_is_stopped_then(lm, tasks, own_cache):
    mark = tasks.parent / "ran"
    text = (tasks / "mine.yaml").read_text()
    late = "{% if '2' in question %}" + ESCAPE.replace("MARK", str(mark)) + "{% endif %}{{question}}"
    (tasks / "mine.yaml").write_text(text.replace("{{question}}", late))
    benchmark = Harness(["mine"], include_path=str(tasks))
    benchmark.prepare(lm)
    with pytest.raises(BenchmarkError, match="template was stopped"):
        benchmark.score(lm)
    assert not mark.exists()


def test_the_script_refuses_before_anything_is_loaded(tasks, tmp_path):
    add(tasks, "process_docs: !function utils.same\n")
    done = run_script(
        "evaluate.py",
        *("model=tiny", "tracking=none", "benchmark=lm_eval", "benchmark.tasks=[mine]"),
        *(f"benchmark.include_path={tasks}", f"hydra.run.dir={tmp_path / 'run'}"),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "loading" not in done.stderr
    assert re.search(r"error: benchmark\.include_path: .*mine\.yaml line 11: !function", done.stderr)
