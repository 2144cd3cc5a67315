"""What is frozen stays as it was to the bit, and the optimiser knows nothing of it."""

import copy

import pytest
import torch
from neuron_statistics import same_everywhere
from transformers import TrainerCallback
from zoo import ZOO

from fbn_exp.core.errors import ConfigError, TrainingError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.target import OUTSIDE, Target
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.neuron_weights import neuron_weights
from fbn_exp.models.random import byte_tokenizer
from fbn_exp.models.sites import decoder_blocks
from fbn_exp.training.config import TrainerConfig
from fbn_exp.training.loop import fit, trained_parameters
from fbn_exp.training.tasks import ClassificationTask, LanguageModelingTask
from fbn_exp.training.trainable import TrainAll, TrainInside, TrainLast, TrainLora, TrainOutside

HARSH = TrainerConfig(
    max_steps=3, learning_rate=1e-2, weight_decay=0.5, batch_size=4, evaluation_interval=3, patience=None
)


# plain, Conv1D with biases, biases in the attention, fused gate and up, norms after the MLP, parallel blocks
FAMILIES = ("llama", "gpt2", "qwen2", "glm", "gemma3_text", "gpt_neox")
PLACES = [(name, site) for name in FAMILIES for site in (Site.mlp_output, Site.mlp_hidden)]
PLACES.append(("qwen2_moe", Site.mlp_output))


class Optimiser(TrainerCallback):
    """Remembers the optimiser's state."""

    def on_train_end(self, args, state, control, optimizer=None, **_):
        self.state = optimizer.state

    @property
    def n_entries(self):
        return sum(state["exp_avg"].numel() for state in self.state.values())


def target_of(lm, site, share=0.2):
    layout = lm.layout(site)
    members = torch.rand(layout.n_neurons, generator=torch.Generator().manual_seed(1)) < share
    activity = torch.rand(layout.n_neurons)
    return Target((0,), torch.where(members, 0, OUTSIDE), layout, same_everywhere(activity))


def language_model(name):
    return LanguageModel(ZOO[name].build(), byte_tokenizer(), ModelConfig(name=name), None)


def trained(lm, trainable, dataset, folder, task, site=None):
    """Weights by name before and after, and the optimiser."""
    target = None if site is None else target_of(lm, site)
    prepared = task.prepare(lm, dataset)
    model, optimiser = prepared.lm.model, Optimiser()
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    finish = trainable.prepare(model, target)
    n_trained = sum(each.numel() for each in trained_parameters(model).values())
    fit(prepared, HARSH, folder / "checkpoints", [optimiser])
    finish()
    after = dict(model.named_parameters())
    assert list(after) == list(before) or set(after) == set(before)
    assert optimiser.n_entries == n_trained
    return before, after, n_trained


def owned(lm, site, before):
    """Mask over the entries of every weight: those of the target's neurons."""
    target = target_of(lm, site)
    masks = {name: torch.zeros_like(each, dtype=torch.bool) for name, each in before.items()}
    for place in neuron_weights(lm.model, target.layout, target.members):
        masks[place.path].index_fill_(place.dimension, place.indices, True)
    return masks


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_only_the_neurons_own_weights_move_inside(name, site, separable, tmp_path, small_test_parts):
    lm = language_model(name)
    before, after, n_trained = trained(lm, TrainInside(), separable, tmp_path, small_test_parts, site)
    masks = owned(lm, site, before)
    assert n_trained == sum(int(mask.sum()) for mask in masks.values())
    for weight, mask in masks.items():
        moved = after[weight] != before[weight]
        assert not (moved & ~mask).any(), weight
    moved = sum(int((after[name] != before[name]).sum()) for name in masks)
    # gradients of experts that no token went to are 0, and so are Conv1D biases that nothing decays
    assert moved > 0.5 * n_trained


@pytest.mark.parametrize("name", FAMILIES)
def test_only_the_last_blocks_and_the_head_move(name, separable, tmp_path):
    task = ClassificationTask(dev_texts=4, test_texts=4)
    lm = language_model(name)
    _, blocks = decoder_blocks(lm.model)
    before, after, n_trained = trained(lm, TrainLast(blocks=1), separable, tmp_path, task)
    moved = {each for each, weight in before.items() if (after[each] != weight).any()}
    in_block = {each for each in moved if f".{len(blocks) - 1}." in each}
    head = {each for each, weight in after.items() if weight.shape[0] == 2 and weight.ndim == 2}
    assert in_block
    assert moved == in_block | head
    assert n_trained >= sum(after[each].numel() for each in moved)


def test_more_blocks_than_there_are_cannot_be_trained():
    lm = language_model("llama")
    with pytest.raises(TrainingError, match=r"trainable\.blocks is 99, the model has \d+ decoder blocks"):
        TrainLast(blocks=99).prepare(lm.model, None)


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_the_neurons_own_weights_stay_outside(name, site, separable, tmp_path, small_test_parts):
    lm = language_model(name)
    before, after, n_trained = trained(lm, TrainOutside(), separable, tmp_path, small_test_parts, site)
    masks = owned(lm, site, before)
    assert n_trained == sum(int((~mask).sum()) for mask in masks.values())
    for weight, mask in masks.items():
        assert not ((after[weight] != before[weight]) & mask).any(), weight
    partly = next(name for name, mask in masks.items() if mask.any() and not mask.all())
    assert (after[partly] != before[partly])[~masks[partly]].any()


def test_a_classification_head_moves_too_and_nothing_else_does(separable, tmp_path, tiny_model):
    lm = tiny_model
    task = ClassificationTask(dev_texts=4, test_texts=4)
    before, after, _ = trained(lm, TrainInside(), separable, tmp_path, task, Site.mlp_output)
    masks = owned(lm, Site.mlp_output, {name: each for name, each in before.items() if name in after})
    masks["score.weight"] = torch.ones_like(before["score.weight"], dtype=torch.bool)
    for weight, mask in masks.items():
        assert not ((after[weight] != before[weight]) & ~mask).any(), weight
    assert (after["score.weight"] != before["score.weight"]).all()


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_lora_leaves_everything_but_the_linear_maps_and_the_class_of_the_model(
    name, separable, tmp_path, small_test_parts
):
    lm = language_model(name)
    modules = [type(module) for module in lm.model.modules()]
    before, after, n_trained = trained(lm, TrainLora(rank=2), separable, tmp_path, small_test_parts)
    assert [type(module) for module in lm.model.modules()] == modules
    assert n_trained < 0.2 * sum(each.numel() for each in before.values())
    changed = {weight for weight in before if not torch.equal(before[weight], after[weight])}
    assert changed
    assert all(after[weight].ndim == 2 and ("layers" in weight or ".h." in weight) for weight in changed)


def test_everything_moves_by_default(separable, tmp_path, tiny_model, small_test_parts):
    before, after, _ = trained(tiny_model, TrainAll(), separable, tmp_path, small_test_parts)
    assert all(not torch.equal(before[weight], after[weight]) for weight in before)


@pytest.mark.parametrize("control", ["random", "per_block", "activation"])
def test_a_control_trains_as_many_weights_of_other_neurons(control, tiny_model):
    target = target_of(tiny_model, Site.mlp_output)
    own, other = copy.deepcopy(tiny_model.model), copy.deepcopy(tiny_model.model)
    TrainInside().prepare(own, target)
    TrainInside(control=control).prepare(other, target)
    assert sum(p.numel() for p in trained_parameters(own).values()) == sum(
        p.numel() for p in trained_parameters(other).values()
    )
    for block in target.layout.blocks:
        rows = [
            model.get_submodule(block.path).down_proj.parametrizations.weight[0].indices.tolist()
            for model in (own, other)
        ]
        assert not set(rows[0]) & set(rows[1])


def test_networks_of_more_than_half_of_the_neurons_have_no_control(tiny_model):
    target = target_of(tiny_model, Site.mlp_output, share=0.6)
    with pytest.raises(
        TrainingError,
        match=r"the networks hold 144 of 256 neurons, which leaves 112 to draw from; choose fewer",
    ):
        TrainInside(control="random").prepare(tiny_model.model, target)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TrainLora(rank=0), r"trainable\.rank is 0"),
        (lambda: TrainLora(dropout=1), r"trainable\.dropout is 1"),
        (lambda: TrainInside(seed=-1), r"trainable\.seed is -1"),
        (lambda: LanguageModelingTask(dev_texts=1), r"task\.dev_texts is 1"),
        (lambda: ClassificationTask(["up"]), r"task\.labels is \[up\]"),
    ],
)
def test_settings_out_of_range_are_refused(make, said):
    with pytest.raises(ConfigError, match=said):
        make()
