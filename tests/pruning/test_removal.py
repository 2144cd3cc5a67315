"""What is left after neurons are taken out computes what hooks would leave, also as a saved checkpoint."""

import dataclasses

import pytest
import torch
from transformers import AutoModelForCausalLM
from zoo import language_model

from fbn_exp.core.errors import PruningError
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.models.neuron_weights import last_projection, neuron_weights, outputs_first
from fbn_exp.pruning import removal
from fbn_exp.pruning.architecture import hidden_layout
from fbn_exp.pruning.config import Allocation, Form, PruningConfig
from fbn_exp.pruning.importance import by_chance
from fbn_exp.pruning.plan import held, plan_pruning
from fbn_exp.pruning.removal import pruned_copy, read_description, reloaded, require_equal, save
from fbn_exp.pruning.selection import select

# architectures whose configuration has a width, and how it is called
WIDTHS = {
    "llama": "intermediate_size",
    "qwen2": "intermediate_size",
    "gemma3_text": "intermediate_size",
    "phi3": "intermediate_size",
    "phi": "intermediate_size",
    "gpt2": "n_inner",
    "gptj": "n_inner",
    "gpt_neox": "intermediate_size",
    "opt": "ffn_dim",
    "falcon": "ffn_hidden_size",
}
FIXED = ("bloom", "mpt")


def pruned(lm, config, means=None):
    """Plan, selection by chance, and the copy."""
    plan = plan_pruning(lm, config)
    selection = select(by_chance(plan.layout, 3), plan.layout, plan.spared, config)
    holding = held(lm, plan, selection, config.bias)
    return plan, selection, holding, pruned_copy(lm.model, selection, holding, means)


def logits_under_hooks(lm, selection, ids, means=None):
    shift = torch.zeros(len(selection.pruned)) if means is None else means.float() * selection.pruned
    with (
        torch.inference_mode(),
        applied(lm.model, selection.layout, AffineEdit((~selection.pruned).float(), shift)),
    ):
        return lm.logits(ids)


@pytest.mark.parametrize("name", WIDTHS)
def test_a_smaller_model_computes_what_the_masked_one_does(name, ids, tmp_path):
    lm = language_model(name)
    before = {key: value.clone() for key, value in lm.model.state_dict().items()}
    plan, selection, holding, twin = pruned(lm, PruningConfig(ratio=0.25))
    width = plan.layout.blocks[0].width
    assert plan.smaller
    assert getattr(twin.config, WIDTHS[name]) == width - round(0.25 * width) == selection.widths[0]
    masked = pruned_copy(
        lm.model, selection, dataclasses.replace(holding, smaller=False, config=lm.model.config), None
    )
    with torch.inference_mode():
        small, zeroed = twin(input_ids=ids).logits, masked(input_ids=ids).logits
    torch.testing.assert_close(small, zeroed, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(small, logits_under_hooks(lm, selection, ids), rtol=1e-5, atol=1e-5)
    save(twin, lm, {"criterion": "random"}, tmp_path / "small")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "small").eval()
    with torch.inference_mode():
        assert torch.equal(loaded(input_ids=ids).logits, small)
    assert read_description(tmp_path / "small") == {"criterion": "random"}
    assert sum(each.numel() for each in loaded.parameters()) < sum(
        each.numel() for each in lm.model.parameters()
    )
    # the original is as it was
    assert all(torch.equal(before[key], value) for key, value in lm.model.state_dict().items())


@pytest.mark.parametrize("name", FIXED)
def test_an_architecture_of_fixed_width_is_masked_and_that_is_said(name, ids):
    lm = language_model(name)
    plan, selection, holding, twin = pruned(lm, PruningConfig(ratio=0.25))
    assert not holding.smaller
    assert "as large and as slow as before" in plan.remarks[0]
    with torch.inference_mode():
        zeroed = twin(input_ids=ids).logits
    torch.testing.assert_close(zeroed, logits_under_hooks(lm, selection, ids), rtol=1e-5, atol=1e-5)
    with pytest.raises(PruningError, match=r"prune\.form is smaller, and \w+ cannot hold"):
        plan_pruning(lm, PruningConfig(ratio=0.25, form=Form.smaller))


@pytest.mark.parametrize(
    "config",
    [PruningConfig(ratio=0.2, spared_first=1), PruningConfig(ratio=0.2, allocation=Allocation.threshold)],
)
def test_unequal_widths_are_masked_where_an_architecture_has_one(config):
    plan, selection, _, twin = pruned(language_model("llama"), config)
    assert len(set(selection.widths)) > 1
    assert not plan.smaller
    for piece in neuron_weights(twin, plan.layout, selection.pruned):
        weight = getattr(twin.get_submodule(piece.module), piece.name)
        assert not weight.index_select(piece.dimension, piece.indices).any()


def test_neurons_that_do_nothing_are_pruned_without_loss(ids):
    lm = language_model("llama")
    lm.model.double()
    layout = hidden_layout(lm)
    # every fourth neuron is a copy of its neighbour without a way out
    idle = torch.arange(layout.n_neurons) % 4 == 1
    with torch.no_grad():
        for block in layout.blocks:
            mlp = lm.model.get_submodule(block.path.rpartition(".")[0])
            local = idle[block.columns].nonzero()[:, 0]
            for name in ("gate_proj", "up_proj"):
                mlp.get_submodule(name).weight[local] = mlp.get_submodule(name).weight[local - 1]
            mlp.down_proj.weight[:, local] = 0
    config = PruningConfig(ratio=0.25)
    selection = select((~idle).double(), layout, (), config)
    assert torch.equal(selection.pruned, idle)
    twin = pruned_copy(lm.model, selection, held(lm, plan_pruning(lm, config), selection, False), None)
    with torch.inference_mode():
        torch.testing.assert_close(twin(input_ids=ids).logits, lm.logits(ids), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "opt", "phi"])
def test_a_bias_makes_up_for_neurons_that_are_constant(name, ids, tmp_path):
    lm = language_model(name)
    layout = hidden_layout(lm)
    means = torch.randn(layout.n_neurons, generator=torch.Generator().manual_seed(1)).double()
    config = PruningConfig(ratio=0.25, bias=True)
    plan, selection, _, twin = pruned(lm, config, means)
    assert plan.smaller
    # with the neurons held at their means by hooks, nothing is lost
    expected = logits_under_hooks(lm, selection, ids, means)
    with torch.inference_mode():
        torch.testing.assert_close(twin(input_ids=ids).logits, expected, rtol=1e-5, atol=1e-5)
    save(twin, lm, {}, tmp_path / "small")
    left = reloaded(lm, tmp_path / "small", tmp_path)
    assert require_equal(lm, left, selection, means) < 1e-4
    with pytest.raises(PruningError, match="logits differ from those of hooks"):
        require_equal(lm, left, selection, None)
    assert (
        last_projection(layout.blocks[0].path, left.model.get_submodule(layout.blocks[0].path))[1].bias
        is not None
    )


def test_rounding_is_told_from_an_error_in_float32_and_the_weights_stay_as_they_are(tmp_path, monkeypatch):
    lm = language_model("llama")
    lm.model.to(torch.bfloat16)
    _, selection, _, twin = pruned(lm, PruningConfig(ratio=0.25))
    save(twin, lm, {}, tmp_path / "small")
    left = reloaded(lm, tmp_path / "small", tmp_path)
    assert left.model.dtype == torch.bfloat16
    before = [{key: value.clone() for key, value in each.model.state_dict().items()} for each in (lm, left)]
    # as if rounding had been amplified beyond what is usual
    monkeypatch.setitem(removal.TOLERANCE, torch.bfloat16, 0.0)
    assert require_equal(lm, left, selection, None) < 1e-5
    for each, state in zip((lm, left), before, strict=True):
        found = each.model.state_dict()
        assert all(torch.equal(found[key], value) for key, value in state.items())
        assert all(found[key].dtype == value.dtype for key, value in state.items())
    # what is left can still be trained
    left.model.get_input_embeddings().weight.requires_grad_(True)
    left.model(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
    with torch.no_grad():
        left.model.model.layers[0].mlp.down_proj.weight[:, 0] += 1
    with pytest.raises(PruningError, match="logits differ from those of hooks"):
        require_equal(lm, left, selection, None)


@pytest.mark.parametrize("name", ["gemma3_text", "qwen2", "phi3"])
@pytest.mark.parametrize("form", [Form.auto, Form.masked])
def test_a_bias_is_refused_where_an_architecture_has_none(name, form):
    with pytest.raises(PruningError, match=r"prune\.bias=true needs a bias .* take prune\.bias=false"):
        plan_pruning(language_model(name), PruningConfig(bias=True, form=form))


def test_a_mixture_of_experts_is_refused():
    with pytest.raises(PruningError, match="no hidden neurons that can be taken out"):
        plan_pruning(language_model("mixtral"), PruningConfig())


def test_widths_of_maps_are_those_of_their_weights():
    _, selection, _, twin = pruned(language_model("gpt2"), PruningConfig(ratio=0.5))
    out = twin.transformer.h[0].mlp.c_proj
    assert not outputs_first(out)
    assert out.nx == selection.widths[0] == twin.transformer.h[0].mlp.c_fc.nf
