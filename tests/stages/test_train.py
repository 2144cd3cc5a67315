"""train.py's stage on tiny models: what it saves, what a lesion does meanwhile, what it refuses."""

import itertools
import json
import shutil

import pandas as pd
import pytest
import torch
from in_process import marked_texts, run_stage
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from zoo import TINY

from fbn_exp.benchmarks.lesions import lesion_folder
from fbn_exp.core.errors import ConfigError, ModelError, NetworksError, TrainingError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.target import choose_target
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.load import take
from fbn_exp.models.neuron_weights import neuron_weights
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.z import ZThreshold

QUICK = ("model=tiny", "task.dev_texts=10", "task.test_texts=40", "trainer.evaluation_interval=4")
STEPS = ("trainer.max_steps=4", "trainer.learning_rate=1e-2")
ONLY_WIKI = ("~forgetting.news", "~forgetting.math", "~forgetting.code")
LANGUAGE = ("task=language_modeling", *STEPS)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Labelled texts, and networks of the tiny model over some of them."""
    folder = tmp_path_factory.mktemp("world")
    texts = marked_texts(folder / "marked.jsonl")
    few = ("dataset.n_texts=12", "dataset.split=train", "method.n_components=3", f"cache={folder / 'cache'}")
    run_stage("extract", folder / "found", "model=tiny", *texts, *few)
    return folder, (*texts, f"cache={folder / 'cache'}"), f"networks={folder / 'found' / 'networks'}"


@pytest.fixture
def start(world, tmp_path):
    """The tiny model as it is before training, and the weights of its networks' neurons."""
    folder, _, _ = world
    config = ModelConfig(name="random:llama", dtype=Precision.float32, device="cpu", random=TINY)
    lm = take(config, tmp_path)
    networks = FunctionalNetworks.load(folder / "found" / "networks")
    target = choose_target(networks, ZThreshold(), "all")
    return lm.model.state_dict(), neuron_weights(lm.model, lm.layout(Site.mlp_output), target.members)


def test_a_trained_classifier_is_an_ordinary_checkpoint_that_knows_its_labels(world, tmp_path):
    _, texts, _ = world
    metrics = run_stage(
        "train", tmp_path, *QUICK, *texts, "trainer.max_steps=40", "trainer.learning_rate=3e-3"
    )
    name = "classification_files/acc"
    assert metrics[name] > 0.95 > metrics[f"{name}/chance"]
    assert metrics[f"delta/{name}/ci_low"] > 0 or metrics[f"baseline/{name}"] > 0.9
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "checkpoint")
    batch = tokenizer(["abc +", "abcdefg -"], padding=True, return_tensors="pt")
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert [model.config.id2label[int(each)] for each in logits.argmax(dim=1)] == ["up", "down"]
    table = pd.read_csv(tmp_path / "tables" / "training.csv")
    assert table["step"].tolist()[0] == 0
    # the majority rate stands beside the accuracy of each evaluation
    evaluated = table.dropna(subset=["dev_acc"])
    assert len(evaluated) == 1 + 40 / 4
    assert (evaluated["dev_acc/chance"] == evaluated["dev_acc/chance"].iloc[0]).all()
    assert 0.5 < evaluated["dev_acc/chance"].iloc[0] < 1
    assert table.dropna(subset=["dev_nats_per_text"])["dev_nats_per_text"].iloc[-1] < 0.3
    assert (tmp_path / "figures" / "training.png").is_file()
    with pytest.raises(ModelError, match="has a head for 2 labels instead"):
        run_stage(
            "evaluate",
            tmp_path / "more",
            f"model.name={tmp_path / 'checkpoint'}",
            "intervention=none",
            "benchmark.dataset.n_texts=2",
        )


def test_a_model_that_was_trained_before_is_not_trained_again(world, tmp_path):
    _, texts, _ = world
    weights = tmp_path / "checkpoint" / "model.safetensors"

    def trained(*overrides):
        metrics = run_stage("train", tmp_path, *QUICK, *texts, *STEPS, *overrides)
        return metrics["classification_files/nats_per_text"], weights.stat().st_mtime_ns

    first = trained()
    assert trained() == first
    assert trained("overwrite=true")[1] > first[1]
    shutil.rmtree(weights.parent)
    assert trained()[0] == first[0]
    result = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps(result | {"finished": False}))
    before = weights.stat().st_mtime_ns
    assert trained()[1] > before


def test_forgetting_is_scored_by_the_language_models_own_output_layer(world, tmp_path):
    _, texts, _ = world
    run_stage("train", tmp_path, *QUICK, *texts, *STEPS, "forgetting=corpora", *ONLY_WIKI)
    table = pd.read_csv(tmp_path / "tables" / "forgetting.csv").set_index(["task", "metric"])
    assert set(table["role"]) == {"trained", "other"}
    row = table.loc[("perplexity_wiki", "nats_per_token")]
    assert row["after"] != row["before"]
    assert row["ci_low"] <= row["delta"] <= row["ci_high"]
    assert row["delta"] == pytest.approx(row["after"] - row["before"])


def test_lesioned_neurons_learn_nothing_and_are_whole_again_in_the_checkpoint(world, start, tmp_path):
    _, texts, networks = world
    before, slices = start
    lesion = (networks, "intervention=inhibit", "trainer.weight_decay=0")
    metrics = run_stage("train", tmp_path / "plain", *QUICK, *texts, *LANGUAGE, *lesion)
    with_fold = run_stage("train", tmp_path / "folded", *QUICK, *texts, *LANGUAGE, *lesion, "fold=true")
    name = "perplexity_files/nats_per_token"
    assert metrics[f"lesioned/{name}"] != metrics[name]
    # what is reported is what the checkpoint does
    assert with_fold[name] == with_fold[f"lesioned/{name}"] == metrics[f"lesioned/{name}"]
    plain, folded = (
        AutoModelForCausalLM.from_pretrained(tmp_path / each / "checkpoint").state_dict()
        for each in ("plain", "folded")
    )
    assert any(not torch.equal(plain[weight], before[weight]) for weight in before)
    for place in slices:
        rows = [
            each[place.path].index_select(place.dimension, place.indices) for each in (before, plain, folded)
        ]
        assert torch.equal(rows[0], rows[1])
        assert rows[0].any()
        assert not rows[2].any()


def test_the_curve_on_dev_starts_under_the_lesion_that_is_trained_under(world, tmp_path):
    _, texts, networks = world
    lesion = (networks, "intervention=inhibit", "trainer.learning_rate=1e-12")
    run_stage("train", tmp_path, *QUICK, *texts, "task=language_modeling", "trainer.max_steps=4", *lesion)
    losses = pd.read_csv(tmp_path / "tables" / "training.csv")["dev_nats_per_token"].dropna()
    assert len(losses) == 2
    assert losses.iloc[0] == pytest.approx(losses.iloc[1], rel=1e-7)


@pytest.mark.parametrize("task", ["language_modeling", "classification"])
def test_networks_before_and_after_training_are_compared(task, world, tmp_path):
    folder, texts, networks = world
    few = ("dataset.n_texts=12", "dataset.split=train", "method.n_components=3")
    run_stage("train", tmp_path / "trained", *QUICK, *texts, *STEPS, f"task={task}")
    checkpoint = f"model.name={tmp_path / 'trained' / 'checkpoint'}"
    run_stage("extract", tmp_path / "after", *texts, *few, checkpoint, "model.dtype=float32")
    before, after = (
        FunctionalNetworks.load(each / "networks") for each in (folder / "found", tmp_path / "after")
    )
    assert before.layout == after.layout
    assert before.provenance["weight_digest"] != after.provenance["weight_digest"]
    other = f"analysis.other={tmp_path / 'after' / 'networks'}"
    compared = run_stage("evaluate", tmp_path / "compared", texts[-1], "analysis=overlap", networks, other)
    # the networks themselves are what is compared: the same comparison by hand
    masks = [each.masks(ZThreshold()).double() for each in (before, after)]
    shared = masks[0] @ masks[1].T
    together = masks[0].sum(1)[:, None] + masks[1].sum(1) - shared
    best = max(
        (shared / together)[range(3), list(order)].mean().item() for order in itertools.permutations(range(3))
    )
    assert compared["overlap/matched_iou"] == pytest.approx(best)


@pytest.mark.parametrize("trainable", ["inside", "outside", "inside_control"])
def test_the_checkpoint_differs_from_the_model_where_it_was_trained_and_nowhere_else(
    trainable, world, start, tmp_path
):
    _, texts, networks = world
    before, slices = start
    run_stage("train", tmp_path, *QUICK, *texts, *LANGUAGE, networks, f"trainable={trainable}")
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint").state_dict()
    own = {name: torch.zeros_like(each, dtype=torch.bool) for name, each in before.items()}
    for place in slices:
        own[place.path].index_fill_(place.dimension, place.indices, True)
    changed = {name: after[name] != before[name] for name in before}
    inside = sum(int((changed[name] & own[name]).sum()) for name in own)
    outside = sum(int((changed[name] & ~own[name]).sum()) for name in own)
    size = sum(int(mask.sum()) for mask in own.values())
    if trainable == "inside":
        assert outside == 0
        assert inside > 0.9 * size
    else:
        assert inside == 0
        assert outside > 0.9 * size


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        (["trainable=inside"], ConfigError, "TrainInside needs networks: networks=FOLDER"),
        (["intervention=inhibit"], ConfigError, "an intervention needs networks"),
        (["fold=true"], ConfigError, "fold=true writes an intervention"),
        (["dataset.split=test"], ConfigError, "dataset.split is test"),
        (["trainer.batch_size=0"], ConfigError, r"trainer\.batch_size is 0"),
        (["trainer.resume=/nowhere"], TrainingError, "no complete checkpoint"),
    ],
)
def test_a_wrong_setting_fails_before_a_model_loads(overrides, error, said, world, tmp_path):
    _, texts, _ = world
    with pytest.raises(error, match=said):
        run_stage("train", tmp_path, "model.name=/not/there", *texts, *overrides)


def test_texts_that_are_scored_are_not_learnt(world, tmp_path):
    _, texts, _ = world
    # a file's parts are disjoint, so the benchmark is pointed at the very part that is trained on
    same = [each.replace("dataset", "forgetting.wiki.dataset", 1) for each in texts[1:-1]]
    benchmark = ["forgetting=corpora", "dataset@forgetting.wiki.dataset=files", *same]
    part = ["forgetting.wiki.dataset.split=train", "forgetting.wiki.dataset.n_texts=3"]
    with pytest.raises(TrainingError, match=r"texts of forgetting\.wiki are among those that are trained on"):
        run_stage("train", tmp_path, *QUICK, *texts, *STEPS, *benchmark, *part)


def test_the_neurons_that_were_trained_can_be_lesioned_in_the_checkpoint(world, tmp_path):
    folder, texts, networks = world
    language = (*QUICK, *texts, *LANGUAGE, networks, "trainable=inside")
    run_stage("train", tmp_path / "trained", *language)
    lesion = (
        f"model.name={tmp_path / 'trained' / 'checkpoint'}",
        networks,
        "intervention=inhibit",
        "intervention.networks=[0]",
        "benchmark.dataset.n_texts=2",
        "controls.repeats=1",
        texts[-1],
    )
    with pytest.raises(NetworksError, match="same_weights=false"):
        run_stage("evaluate", tmp_path / "refused", *lesion)
    metrics = run_stage("evaluate", tmp_path / "lesion", *lesion, "same_weights=false")
    members = FunctionalNetworks.load(folder / "found" / "networks").masks(ZThreshold())[0]
    assert metrics["neurons"] == members.sum()
    # a report on the networks does not take the lesion for one of the model that they are of
    networks = FunctionalNetworks.load(folder / "found" / "networks")
    assert not lesion_folder(networks, folder / "cache").exists()


def test_networks_of_other_weights_are_refused(world, tmp_path):
    _, texts, networks = world
    run_stage("train", tmp_path / "once", *QUICK, *texts, *LANGUAGE)
    again = f"model.name={tmp_path / 'once' / 'checkpoint'}"
    with pytest.raises(NetworksError, match="with other weights"):
        run_stage("train", tmp_path / "twice", *QUICK, *texts, *LANGUAGE, again, networks, "trainable=inside")
