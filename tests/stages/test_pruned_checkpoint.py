"""A pruned checkpoint is a model like any other: for lm_eval, extract.py and evaluate.py."""

import json
import os
import subprocess
import sys

import pytest
from in_process import run_stage
from scripts import LOCAL_TASK, finished, result_of

from fbn_exp.networks.artifact import FunctionalNetworks

pytestmark = pytest.mark.slow
TINY = ("model=tiny", "dataset.n_texts=4", "dataset.tokens_per_text=40", "method.n_components=3")
RUNNING = """
task: running
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list: [{{metric: word_perplexity}}]
"""


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """Checkpoint of 72 of 96 hidden neurons in every block, with a bias in each map of the MLPs."""
    folder = tmp_path_factory.mktemp("pruned")
    ratio = ("prune.ratio=0.25", "prune.bias=true", "prune.speed_pairs=0", "forgetting=none")
    run_stage("prune", folder / "run", *TINY, *ratio, f"cache={folder / 'cache'}")
    return folder / "run" / "checkpoint"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Folder of a task of choices and one of running text, over a local file."""
    folder = tmp_path_factory.mktemp("tasks")
    data = folder / "mine.jsonl"
    rows = [
        {"question": f"Is {number} an even number, or is it odd?", "label": number % 2} for number in range(8)
    ]
    data.write_text("\n".join(map(json.dumps, rows)))
    (folder / "mine.yaml").write_text(LOCAL_TASK.format(data=data))
    (folder / "running.yaml").write_text(RUNNING.format(data=data))
    return folder


def scores_of_lm_eval(checkpoint, tasks, folder):
    """Results of ``python -m lm_eval`` with its own class for a model of transformers."""
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--tasks", "mine,running"]
    command += ["--model_args", f"pretrained={checkpoint},dtype=float32", "--device", "cpu"]
    command += ["--include_path", str(tasks), "--output_path", str(folder / "theirs.json")]
    # away from the repository, whose evaluate.py has the name of a package that lm_eval imports
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = folder.glob("theirs*.json")
    return json.loads(written.read_text())["results"]


def test_lm_eval_itself_loads_and_scores_it_as_we_do(pruned, tasks, tmp_path):
    theirs = scores_of_lm_eval(pruned, tasks, tmp_path)
    finished(
        "evaluate.py",
        "model=tiny",
        f"model.name={pruned}",
        "model.random={}",
        "intervention=none",
        "benchmark=lm_eval",
        "benchmark.tasks=[mine,running]",
        f"benchmark.include_path={tasks}",
        "tracking=none",
        f"hydra.run.dir={tmp_path / 'ours'}",
    )
    ours = result_of(tmp_path / "ours")["metrics"]
    assert ours["mine/acc"] == theirs["mine"]["acc,none"]
    perplexity = theirs["running"]["word_perplexity,none"]
    assert ours["running/word_perplexity"] == pytest.approx(perplexity, rel=1e-4)
    # that of the original is another one
    original = ("model=tiny", "intervention=none", "benchmark=lm_eval", "benchmark.tasks=[running]")
    unpruned = run_stage(
        "evaluate", tmp_path / "original", *original, f"benchmark.include_path={tasks}", "tracking=none"
    )
    assert abs(unpruned["running/word_perplexity"] / perplexity - 1) > 1e-3


def test_networks_are_extracted_from_it_and_silenced_in_it(pruned, tmp_path):
    model = ("model=tiny", f"model.name={pruned}", "model.random={}", f"cache={tmp_path / 'cache'}")
    hidden = ("site=mlp_hidden", "dataset.n_texts=4", "dataset.tokens_per_text=40", "method.n_components=3")
    run_stage("extract", tmp_path / "extract", *model, *hidden)
    folder = tmp_path / "extract" / "networks"
    layout = FunctionalNetworks.load(folder).layout
    assert [block.width for block in layout.blocks] == [72] * 4
    short = ("benchmark.dataset.n_texts=3", "benchmark.dataset.tokens_per_text=32", "controls.repeats=1")
    scores = run_stage("evaluate", tmp_path / "evaluate", *model, *short, f"networks={folder}")
    assert scores["perplexity_wiki/nats_per_token"] != scores["baseline/perplexity_wiki/nats_per_token"]
