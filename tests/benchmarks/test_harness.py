import json
import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from zoo import TINY, ZOO

from fbn_exp.benchmarks.harness.tasks import Harness
from fbn_exp.core.errors import BenchmarkError, ConfigError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.interventions.fold import export
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer, random_model

CHOICE = """
task: fbn_test_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/choice.jsonl, train: {folder}/choice_shots.jsonl}}}}
output_type: multiple_choice
test_split: test
fewshot_split: train
process_docs: !function utils.as_they_are
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
"""
WRITING = """
task: fbn_test_writing
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/writing.jsonl, train: {folder}/writing_shots.jsonl}}}}
output_type: generate_until
test_split: test
fewshot_split: train
doc_to_text: "{{{{question}}}}"
doc_to_target: answer
generation_kwargs: {{until: ["\\n"], max_gen_toks: 6, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
# several tasks of lm-eval import the package in this way
UTILS = """
from evaluate import load

def as_they_are(docs):
    return docs
"""
GROUP = """
group: fbn_test_group
task: [fbn_test_choice]
aggregate_metric_list: [{metric: acc, aggregation: mean, weight_by_size: true}]
"""
CHOICE_TASK, WRITING_TASK, GROUP_NAME = "fbn_test_choice", "fbn_test_writing", "fbn_test_group"
SHADOWED = """
if __name__ != "__main__":
    raise SystemExit("this file was taken for the package evaluate")
import sys
from pathlib import Path
from fbn_exp.benchmarks.harness.tasks import Harness
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.load import load

folder, tasks = sys.argv[1:]
lm = load(ModelConfig(name=folder, dtype="float32", device="cpu"), Path("cache"))
benchmark = Harness(["fbn_test_choice", "fbn_test_writing"], include_path=tasks, trust_task_code=True)
before = list(sys.path)
benchmark.prepare(lm)
print(*(f"{score.name}={score.value!r}" for score in benchmark.score(lm)))
assert sys.path == before and str(Path(__file__).parent) in sys.path
"""


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Keep what the tests load out of the user's cache."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def lm():
    # large weights, so that the text decides and not only the length of a choice
    arguments = TINY | {"initializer_range": 0.4}
    config = ModelConfig(name="random:llama", dtype=Precision.float32, device="cpu", random=arguments)
    return LanguageModel(random_model("llama", arguments).eval(), byte_tokenizer(), config, None)


@pytest.fixture(scope="module")
def model_folder(lm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tasks_folder(lm, tmp_path_factory):
    """Two tasks on local files; the model gets some items of both right."""
    folder = tmp_path_factory.mktemp("tasks")
    rng = np.random.default_rng(0)
    questions = [f"{'long ' * rng.integers(0, 6)}question {index}:" for index in range(30)]
    choice = [
        {"question": each, "choices": ["yes", "no", "perhaps"], "gold": int(rng.integers(3))}
        for each in questions
    ]
    answers = [told(lm, each) if index % 3 else "something else" for index, each in enumerate(questions)]
    writing = [{"question": q, "answer": a} for q, a in zip(questions, answers, strict=True)]
    for name, rows in (("choice", choice), ("writing", writing)):
        (folder / f"{name}.jsonl").write_text(lines(rows), encoding="utf-8")
        shots = [row | {"question": f"shot {index}:"} for index, row in enumerate(rows[:8])]
        (folder / f"{name}_shots.jsonl").write_text(lines(shots), encoding="utf-8")
    (folder / "choice.yaml").write_text(CHOICE.format(folder=folder), encoding="utf-8")
    (folder / "writing.yaml").write_text(WRITING.format(folder=folder), encoding="utf-8")
    (folder / "utils.py").write_text(UTILS, encoding="utf-8")
    (folder / "group.yaml").write_text(GROUP, encoding="utf-8")
    return folder


def told(lm, question):
    """What the model writes after a question, up to six tokens or the end of the line."""
    ids = torch.tensor([lm.tokenizer.encode(question)])
    found = lm.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
    return lm.tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True).split("\n")[0]


def plainly(model_folder, tasks_folder, tasks, **settings):
    """Results of lm-eval by itself, on the saved folder."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    results = lm_eval.simple_evaluate(
        model="hf",
        model_args=f"pretrained={model_folder}",
        device="cpu",
        batch_size=16,
        tasks=tasks,
        task_manager=TaskManager(include_path=str(tasks_folder), include_defaults=False),
        **settings,
    )
    return {
        (task, key.partition(",")[0]): value
        for task, row in results["results"].items()
        for key, value in row.items()
        if key.endswith(",none")
    }


def ours(lm, tasks_folder, tasks, **settings):
    benchmark = Harness(tasks, include_path=str(tasks_folder), trust_task_code=True, **settings)
    benchmark.prepare(lm)
    return benchmark.score(lm)


@pytest.mark.parametrize(
    ("tasks", "settings"),
    [
        ([CHOICE_TASK, WRITING_TASK], {}),
        ([CHOICE_TASK], {"limit": 7}),
        ([WRITING_TASK, CHOICE_TASK], {"num_fewshot": 2, "limit": 11}),
    ],
)
def test_scores_are_those_of_lm_eval_on_the_saved_model(lm, model_folder, tasks_folder, tasks, settings):
    scores = ours(lm, tasks_folder, tasks, **settings)
    plain = plainly(model_folder, tasks_folder, tasks, **settings)
    assert {(score.task, score.metric): score.value for score in scores} == {
        place: value for place, value in plain.items() if not place[1].endswith("_stderr")
    }
    for score in scores:
        error = plain[score.task, f"{score.metric}_stderr"]
        assert score.standard_error == pytest.approx(error, rel=1e-9)
        assert score.n == settings.get("limit", 30)
    assert {score.task for score in scores} == set(tasks)


def test_scores_under_an_edit_are_those_of_lm_eval_on_the_folded_checkpoint(lm, tasks_folder, tmp_path):
    layout = lm.layout(Site.mlp_hidden)
    scale = torch.rand(layout.n_neurons, generator=torch.Generator().manual_seed(0)) * 2
    edit = AffineEdit(scale, torch.zeros(layout.n_neurons))
    export(lm, layout, edit, tmp_path / "folded")
    with applied(lm.model, layout, edit):
        scores = ours(lm, tasks_folder, [CHOICE_TASK])
    plain = plainly(tmp_path / "folded", tasks_folder, [CHOICE_TASK])
    assert {(score.task, score.metric): score.value for score in scores} == {
        place: value for place, value in plain.items() if not place[1].endswith("_stderr")
    }
    untouched = ours(lm, tasks_folder, [CHOICE_TASK])
    assert [each.items.tolist() for each in scores] != [each.items.tolist() for each in untouched]


def test_some_items_are_right_and_some_are_wrong(lm, tasks_folder):
    scores = {score.name: score.value for score in ours(lm, tasks_folder, [CHOICE_TASK, WRITING_TASK])}
    assert 0 < scores[f"{CHOICE_TASK}/acc"] < 1
    assert scores[f"{WRITING_TASK}/exact_match"] == pytest.approx(2 / 3)


def test_items_are_in_the_order_of_the_documents(lm, tasks_folder):
    (writing,) = ours(lm, tasks_folder, [WRITING_TASK])
    assert writing.items.tolist() == [float(index % 3 > 0) for index in range(30)]
    acc = next(each for each in ours(lm, tasks_folder, [CHOICE_TASK]) if each.metric == "acc")
    rows = [json.loads(line) for line in (tasks_folder / "choice.jsonl").read_text().splitlines()]
    for item, row in zip(acc.items, rows, strict=True):
        assert item == float(
            np.argmax([likelihood(lm, row["question"], f" {c}") for c in row["choices"]]) == row["gold"]
        )


def likelihood(lm, prompt, word):
    start, ids = len(prompt), torch.tensor([lm.tokenizer.encode(prompt + word)])
    with torch.no_grad():
        found = lm.model(input_ids=ids).logits[0].log_softmax(-1)
    return float(sum(found[place - 1, ids[0, place]] for place in range(start, ids.shape[1])))


def test_scoring_again_gives_the_same_and_hooks_stay_on(lm, tasks_folder):
    benchmark = Harness(
        [CHOICE_TASK, WRITING_TASK], include_path=str(tasks_folder), trust_task_code=True, num_fewshot=2
    )
    benchmark.prepare(lm)
    first = benchmark.score(lm)
    hook = lm.model.get_output_embeddings().register_forward_hook(lambda *args: -args[2])
    try:
        turned = benchmark.score(lm)
    finally:
        hook.remove()
    again = benchmark.score(lm)
    assert [each.items.tolist() for each in again] == [each.items.tolist() for each in first]
    assert [each.items.tolist() for each in turned] != [each.items.tolist() for each in first]


def packed_and_not(lm, tasks_folder, **settings):
    """Values per item of both, by metric."""
    return [
        {
            each.name: each.items
            for each in ours(lm, tasks_folder, [CHOICE_TASK, WRITING_TASK], packed=packed, **settings)
        }
        for packed in (True, False)
    ]


@pytest.mark.parametrize("num_fewshot", [0, 4])
@pytest.mark.parametrize("apply_chat_template", [False, True])
def test_every_item_is_the_same_packed_or_not(lm, tasks_folder, num_fewshot, apply_chat_template):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "{% for each in messages %}<{{ each.role }}>{{ each.content }}{% endfor %}"
    talking = replace(lm, tokenizer=tokenizer)
    settings = {"num_fewshot": num_fewshot, "apply_chat_template": apply_chat_template, "limit": 12}
    packed, plain = packed_and_not(talking, tasks_folder, **settings)
    assert packed.keys() == plain.keys()
    assert all(np.array_equal(packed[name], plain[name]) for name in packed)


def test_a_model_that_cannot_be_packed_is_scored_as_well_and_says_so(lm, tasks_folder):
    bloom = replace(lm, model=ZOO["bloom"].build())
    settings = {"include_path": str(tasks_folder), "trust_task_code": True, "limit": 5}
    benchmark, plain = (Harness([CHOICE_TASK], packed=packed, **settings) for packed in (True, False))
    for each in (benchmark, plain):
        each.prepare(bloom)
    pairs = zip(benchmark.score(bloom), plain.score(bloom), strict=True)
    assert all(np.array_equal(one.items, other.items) for one, other in pairs)
    (remark,) = benchmark.remarks()
    assert "no packed rows (BloomForCausalLM takes no positions)" in remark
    assert plain.remarks() == []


def test_scoring_does_not_say_each_step_and_builds_requests_once(lm, tasks_folder, monkeypatch, caplog):
    from lm_eval.api.task import ConfigurableTask

    built = []
    construct = ConfigurableTask.construct_requests

    def counted(self, *args, **settings):
        built.append(self.config.task)
        return construct(self, *args, **settings)

    monkeypatch.setattr(ConfigurableTask, "construct_requests", counted)
    lm = replace(lm)  # that no benchmark has been prepared for
    # two jobs of a sweep, two scorings each
    jobs = [
        Harness([CHOICE_TASK, WRITING_TASK], include_path=str(tasks_folder), trust_task_code=True, limit=5)
        for _ in range(2)
    ]
    found = []
    with caplog.at_level("INFO"):
        for benchmark in jobs:
            benchmark.prepare(lm)
            found += [[each.items.tolist() for each in benchmark.score(lm)] for _ in range(2)]
    assert found[1:] == found[:1] * 3
    assert built == [CHOICE_TASK] * 5 + [WRITING_TASK] * 5
    assert not [each for each in caplog.records if each.name.startswith("lm_eval") and each.levelno < 30]
    assert caplog.text.count("are packed into") == 1
    assert benchmark.remarks() == []


def test_a_group_is_scored_with_its_members(lm, tasks_folder):
    found = ours(lm, tasks_folder, [WRITING_TASK, GROUP_NAME])
    scores = {score.name: score for score in found}
    assert {score.task for score in found} == {GROUP_NAME, CHOICE_TASK, WRITING_TASK}
    assert scores[f"{GROUP_NAME}/acc"].value == scores[f"{CHOICE_TASK}/acc"].value
    assert scores[f"{GROUP_NAME}/acc"].items is None


def test_an_unknown_task_is_named_with_a_way_to_find_names(lm, tasks_folder):
    with pytest.raises(
        BenchmarkError, match=r"lm-eval knows no fbn_absent; .* benchmark\.include_path=FOLDER"
    ):
        ours(lm, tasks_folder, [CHOICE_TASK, "fbn_absent"])


def test_a_task_that_cannot_be_loaded_is_named_with_the_reason(lm, tmp_path):
    (tmp_path / "writing.yaml").write_text(WRITING.format(folder=tmp_path), encoding="utf-8")
    with pytest.raises(BenchmarkError, match=f"{WRITING_TASK} cannot be loaded .*writing.*jsonl"):
        ours(lm, tmp_path, [WRITING_TASK])


def test_the_global_random_state_stays_as_it_was(lm, tasks_folder):
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    random.seed(12), np.random.seed(12), torch.manual_seed(12)  # noqa: NPY002
    before = state()
    ours(lm, tasks_folder, [CHOICE_TASK], num_fewshot=1, limit=3)
    assert state() == before


def test_model_and_tokenizer_stay_as_they_were(lm, tasks_folder):
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = None
    bare = replace(lm, tokenizer=tokenizer)
    before = [weight.clone() for weight in lm.model.parameters()]
    ours(bare, tasks_folder, [CHOICE_TASK, WRITING_TASK], limit=3)
    assert tokenizer.pad_token is None
    assert tokenizer.padding_side == byte_tokenizer().padding_side
    assert all(map(torch.equal, before, lm.model.parameters()))


def test_a_script_called_evaluate_does_not_hide_the_package(lm, model_folder, tasks_folder, tmp_path):
    script = tmp_path / "evaluate.py"
    script.write_text(SHADOWED, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    # its folder is searched first anyway, and once more by this
    environment["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, str(script), str(model_folder), str(tasks_folder)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    scores = ours(lm, tasks_folder, [CHOICE_TASK, WRITING_TASK])
    assert done.stdout.split()[-len(scores) :] == [f"{each.name}={each.value!r}" for each in scores]


def test_the_key_changes_with_the_files_of_the_tasks(tmp_path):
    (tmp_path / "a.yaml").write_text("task: a", encoding="utf-8")

    def key(**settings):
        return Harness(["a"], include_path=str(tmp_path), **settings).key()

    first = key()
    assert first == key(batch_size=3)
    # equal to rounding only; without it, the key of versions that could not pack
    assert first == key(packed=False) | {"packed": True}
    assert first != key(limit=3) != key(num_fewshot=3)
    (tmp_path / "a.yaml").write_text("task: a\n", encoding="utf-8")
    assert key() != first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": []}, r"benchmark\.tasks is empty: name at least one task"),
        ({"tasks": ["a"], "limit": 0}, r"benchmark\.limit is 0, must be at least 1"),
        ({"tasks": ["a"], "num_fewshot": -1}, r"benchmark\.num_fewshot is -1"),
        ({"tasks": ["a"], "batch_size": 0}, r"benchmark\.batch_size is 0"),
        ({"tasks": ["a"], "include_path": "/absent"}, r"benchmark\.include_path: no such folder: /absent"),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(settings, message):
    with pytest.raises(ConfigError, match=message):
        Harness(**settings)
