"""Every model yaml: a tiny random model of its class goes through extract.py, train.py and evaluate.py."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from in_process import CONF, QUICK, marked_texts
from scripts import finished
from zoo import GPT, HEADS, LLAMA, PLAIN

from fbn_exp.models.random import byte_tokenizer, random_model

# class that the weights of each yaml are loaded as, and how to build a tiny one of it
MODELS = {
    "smollm2": ("LlamaForCausalLM", "llama", LLAMA | {"tie_word_embeddings": True}),
    "llama3": ("LlamaForCausalLM", "llama", LLAMA),
    "llama3.2-1b": ("LlamaForCausalLM", "llama", LLAMA | {"tie_word_embeddings": True}),
    "gpt2": ("GPT2LMHeadModel", "gpt2", GPT),
    "qwen2.5-3b": ("Qwen2ForCausalLM", "qwen2", LLAMA | {"tie_word_embeddings": True}),
    "qwen3-0.6b": ("Qwen3ForCausalLM", "qwen3", HEADS | {"tie_word_embeddings": True}),
    "gemma3-1b": ("Gemma3ForCausalLM", "gemma3_text", HEADS),
    "gemma3-270m": ("Gemma3ForCausalLM", "gemma3_text", HEADS | {"sliding_window": 4}),
    "pythia-160m": ("GPTNeoXForCausalLM", "gpt_neox", PLAIN),
    # ChatGLM3's own code comes with its weights; transformers' GLM has the same fused gate and up projection
    "chatglm3": ("GlmForCausalLM", "glm", HEADS),
}
TRAINING = ("trainer.max_steps=2", "trainer.evaluation_interval=2", "task.dev_texts=6", "task.test_texts=20")


def test_every_model_yaml_is_here_but_the_one_that_is_tiny_anyway():
    assert {file.stem for file in (CONF / "model").glob("*.yaml")} == {*MODELS, "tiny"}


@pytest.mark.parametrize("option", MODELS)
def test_a_tiny_model_of_its_class_can_be_built(option):
    expected, model_type, arguments = MODELS[option]
    assert type(random_model(model_type, arguments)).__name__ == expected


# a folder for each job of a sweep, named after its model
OF_ITS_MODEL = "${hydra:runtime.choices.model}"


def sweep(script: str, models: Sequence[str], folder: Path, *overrides: str) -> pd.DataFrame:
    """Metrics of each model, by its name, of one sweep of a script over all of them."""
    finished(
        script,
        "-m",
        f"model={','.join(models)}",
        *overrides,
        *QUICK,
        "model.trust_remote_code=false",
        "model.device=cpu",
        f"hydra.sweep.dir={folder}",
        f"hydra.sweep.subdir={OF_ITS_MODEL}",
    )
    jobs = pd.read_csv(folder / "sweep" / "jobs.csv").set_index("override/model")
    assert jobs["error"].isna().all()
    return jobs


# all of them take a minute: two that have little in common stand for the others in the fast suite
FEW = ("gpt2", "gemma3-1b")


@pytest.fixture(
    scope="module",
    params=[
        ("mlp_output", FEW),
        pytest.param(("mlp_output", tuple(MODELS)), marks=pytest.mark.slow),
        pytest.param(("mlp_hidden", tuple(MODELS)), marks=pytest.mark.slow),
    ],
    ids=["few", "mlp_output", "mlp_hidden"],
    name="scripts",
)
def all_through_the_scripts(request, tmp_path_factory):
    """Metrics of ``extract.py``, ``train.py`` and ``evaluate.py`` over models, at one site."""
    site, models = request.param
    root = tmp_path_factory.mktemp("zoo")
    for option in models:
        _, model_type, arguments = MODELS[option]
        random_model(model_type, arguments).save_pretrained(root / "tiny" / option)
        byte_tokenizer().save_pretrained(root / "tiny" / option)
    texts = marked_texts(root / "marked.jsonl")
    scored = ["dataset@benchmark.dataset=files"]
    scored += [each.replace("dataset", "benchmark.dataset", 1) for each in texts[1:]]
    few = (*texts, "dataset.n_texts=8", "dataset.split=train", "method.n_components=3")
    tiny = f"model.name={root / 'tiny' / OF_ITS_MODEL}"
    common = (f"site={site}", "model.dtype=float32", f"cache={root / 'cache'}")
    found = sweep("extract.py", models, root / "found", *few, tiny, *common)
    trained = sweep(
        "train.py",
        models,
        root / "trained",
        *texts,
        *TRAINING,
        tiny,
        *common,
        "trainable=inside",
        f"networks={root / 'found' / OF_ITS_MODEL / 'networks'}",
    )
    evaluated = sweep(
        "evaluate.py",
        models,
        root / "evaluated",
        *few,
        f"model.name={root / 'trained' / OF_ITS_MODEL / 'checkpoint'}",
        *common,
        "benchmark=classification",
        *scored,
        "benchmark.dataset.split=test",
        "benchmark.dataset.n_texts=20",
        "intervention=inhibit",
        "controls.repeats=1",
    )
    return found, trained, evaluated


def test_tiny_models_of_their_classes_are_extracted_trained_and_evaluated(scripts):
    found, trained, evaluated = scripts
    assert (found["networks/union_size"] > 0).all()
    assert (trained["parameters/trainable"] > 0).all()
    assert (trained["parameters/trainable"] < 0.5 * trained["parameters"]).all()
    # the head that training saved is the head that evaluate scores, on the same twenty texts
    name, nats = "classification_files/acc", "classification_files/nats_per_text"
    assert evaluated[f"baseline/{name}"].to_dict() == trained[name].to_dict()
    assert evaluated[f"baseline/{nats}"].to_dict() == pytest.approx(trained[nats].to_dict(), rel=1e-5)
    # the lesion reaches single texts, whatever its mean is
    assert (evaluated[f"delta/{nats}/ci_low"] < evaluated[f"delta/{nats}/ci_high"]).all()
