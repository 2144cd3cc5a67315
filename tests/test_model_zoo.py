"""Every model yaml: a tiny random model of its very class goes through extract, train and evaluate."""

from pathlib import Path

import pytest
from in_process import CONF, marked_texts, run_stage
from zoo import GPT, HEADS, LLAMA, PLAIN

from fbn_exp.random_model import byte_tokenizer, random_model

# class that the weights of each yaml are loaded as, and how to build a tiny one of it
MODELS = {
    "smollm2": ("LlamaForCausalLM", "llama", LLAMA | {"tie_word_embeddings": True}),
    "llama3": ("LlamaForCausalLM", "llama", LLAMA),
    "llama3.2-1b": ("LlamaForCausalLM", "llama", LLAMA | {"tie_word_embeddings": True}),
    "gpt2": ("GPT2LMHeadModel", "gpt2", GPT),
    "qwen2.5-3b": ("Qwen2ForCausalLM", "qwen2", LLAMA | {"tie_word_embeddings": True}),
    "qwen3-0.6b": ("Qwen3ForCausalLM", "qwen3", HEADS | {"tie_word_embeddings": True}),
    "gemma3-1b": ("Gemma3ForCausalLM", "gemma3_text", HEADS),
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


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return marked_texts(tmp_path_factory.mktemp("texts") / "marked.jsonl")


def checkpoint_of(option: str, folder: Path) -> tuple[str, ...]:
    """Overrides that take the yaml with a tiny checkpoint in the place of the real one."""
    _, model_type, arguments = MODELS[option]
    model = random_model(model_type, arguments)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return (f"model={option}", f"model.name={folder}", "model.trust_remote_code=false", "model.device=cpu")


# one yaml of each class: what differs between the others is size
DISTINCT = list({class_name: option for option, (class_name, _, _) in reversed(MODELS.items())}.values())


@pytest.mark.parametrize("option", DISTINCT)
def test_a_tiny_model_of_its_class_is_extracted_trained_and_evaluated(option, texts, tmp_path):
    model = checkpoint_of(option, tmp_path / "tiny")
    cache, few = f"cache={tmp_path / 'cache'}", ("dataset.n_texts=8", "dataset.split=train")
    method = ("method.n_components=3", "model.dtype=float32")
    site = "site=mlp_hidden" if option in ("gpt2", "chatglm3") else "site=mlp_output"
    found = run_stage("extract", tmp_path / "found", *model, *texts, *few, *method, site, cache)
    assert found["networks/union_size"] > 0
    networks = f"networks={tmp_path / 'found' / 'networks'}"
    trained = run_stage(
        "train", tmp_path / "trained", *model, *texts, *TRAINING, networks, "trainable=inside", cache
    )
    assert 0 < trained["parameters/trainable"] < 0.5 * trained["parameters"]
    again = [f"model.name={tmp_path / 'trained' / 'checkpoint'}", *model[2:]]
    benchmark = [each.replace("dataset", "benchmark.dataset", 1) for each in texts[1:]]
    scored = run_stage(
        "evaluate",
        tmp_path / "scored",
        f"model={option}",
        *again,
        *texts,
        *few,
        *method,
        site,
        cache,
        "benchmark=classification",
        "dataset@benchmark.dataset=files",
        *benchmark,
        "benchmark.dataset.split=test",
        "benchmark.dataset.n_texts=20",
        "benchmark.labels=[]",
        "intervention=inhibit",
        "controls.repeats=1",
    )
    # the head that training saved is the head that evaluate scores, on the same twenty texts
    assert scored["baseline/classification_files/acc"] == trained["classification_files/acc"]
    nats = "classification_files/nats_per_text"
    assert scored[f"baseline/{nats}"] == pytest.approx(trained[nats], rel=1e-5)
    # the lesion reaches single texts, whatever its mean is
    assert scored[f"delta/{nats}/ci_low"] < scored[f"delta/{nats}/ci_high"]
