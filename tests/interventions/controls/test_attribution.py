"""Attribution: |gradient × activation|, exact on a model that can be worked out by hand."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fbn_exp.core.errors import ControlError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.interventions.controls.attribution import attribution, cached_attribution
from fbn_exp.interventions.edit import AffineEdit, applied


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Identity()

    def forward(self, hidden):
        return self.mlp(hidden)


class Hand(nn.Module):
    """Two tokens, two neurons: the embedding of a token goes through a block to logits by a matrix."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
        self.weight = torch.tensor([[1.0, 0.0], [0.5, -2.0]])
        self.block = Block()

    def forward(self, input_ids, use_cache):
        return SimpleNamespace(logits=self.block(self.embedding[input_ids]) @ self.weight.T)


def texts_of(*ids):
    return Texts(tuple(TokenisedText(each, Document(f"text {each}", "here")) for each in ids))


def model_of(model, labels=None):
    return SimpleNamespace(
        model=model,
        labels=labels,
        device=torch.device("cpu"),
        weight_digest="w",
        dtype="float32",
        logits=lambda ids: model(input_ids=ids, use_cache=False).logits,
    )


LAYOUT = NeuronLayout.of(Site.mlp_output, ["block.mlp"], [2])


def test_the_product_is_as_computed_by_hand():
    # text 0, 1: only the activations (1, 2) of the first token matter to the loss of token 1
    logits = torch.tensor([1.0, 0.5 - 4.0])
    p = logits.softmax(0)
    gradient = p[0] * torch.tensor([1.0, 0.0]) + (p[1] - 1) * torch.tensor([0.5, -2.0])
    expected = (gradient * torch.tensor([1.0, 2.0])).abs() / 2  # mean over two tokens
    found = attribution(model_of(Hand()), LAYOUT, texts_of((0, 1)))
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-7)


def test_texts_count_by_their_tokens():
    one, other = (attribution(model_of(Hand()), LAYOUT, texts_of(ids)) for ids in ((0, 1), (1, 1, 0)))
    both = attribution(model_of(Hand()), LAYOUT, texts_of((0, 1), (1, 1, 0)))
    torch.testing.assert_close(both, (2 * one + 3 * other) / 5)


def test_a_classifier_is_asked_for_the_class_that_it_takes_a_text_for():
    class Classifier(Hand):
        def forward(self, input_ids, use_cache):
            return SimpleNamespace(logits=super().forward(input_ids, use_cache).logits[:, -1])

    logits = torch.tensor([3.0, 1.5 + 2.0])
    p = logits.softmax(0)
    gradient = p[0] * torch.tensor([1.0, 0.0]) + (p[1] - 1) * torch.tensor([0.5, -2.0])
    expected = (gradient * torch.tensor([3.0, -1.0])).abs() / 2
    found = attribution(model_of(Classifier(), labels=("a", "b")), LAYOUT, texts_of((0, 1)))
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("site", list(Site))
def test_it_is_the_slope_of_the_loss_over_the_activation_of_a_real_model(tiny_model, site):
    layout = tiny_model.layout(site)
    ids = (5, 9, 17, 3)
    found = attribution(tiny_model, layout, texts_of(ids))
    assert found.shape == (layout.n_neurons,)
    assert (found > 0).any()
    assert all(weight.grad is None for weight in tiny_model.model.parameters())

    neuron = int(found.argmax())
    losses = []
    for factor in (1 - 1e-2, 1 + 1e-2):
        scale = torch.ones(layout.n_neurons)
        scale[neuron] = factor
        edit = AffineEdit(scale, torch.zeros(layout.n_neurons))
        with torch.inference_mode(), applied(tiny_model.model, layout, edit):
            logits = tiny_model.model(input_ids=torch.tensor([ids])).logits[0, :-1]
        losses.append(nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum"))
    # the sum over tokens is at most the sum of magnitudes
    slope = float(losses[1] - losses[0]) / 2e-2
    assert abs(slope) <= float(found[neuron]) * len(ids) * 1.05


def test_what_is_computed_is_kept_and_what_is_damaged_is_computed_again(tmp_path, caplog):
    model, texts = model_of(Hand()), texts_of((0, 1))
    absent = model_of(None)
    first = cached_attribution(model, LAYOUT, texts, tmp_path)
    (file,) = (tmp_path / "attribution").glob("*.json")
    torch.testing.assert_close(cached_attribution(absent, LAYOUT, texts, tmp_path), first)
    entry = json.loads(file.read_text())
    entry["attribution"][0] = 7.0
    file.write_text(json.dumps(entry))
    torch.testing.assert_close(cached_attribution(model, LAYOUT, texts, tmp_path), first)
    assert "is damaged, attribution is computed again" in caplog.text


def test_a_model_without_a_gradient_is_told():
    class NoGradient(Hand):
        def forward(self, input_ids, use_cache):
            return SimpleNamespace(logits=super().forward(input_ids, use_cache).logits.detach())

    with pytest.raises(ControlError, match="the model computes no gradient"):
        attribution(model_of(NoGradient()), LAYOUT, texts_of((0, 1)))


def test_a_loss_that_is_not_finite_is_told():
    broken = Hand()
    broken.embedding = torch.full((2, 2), torch.nan)
    with pytest.raises(ControlError, match="not finite"):
        attribution(model_of(broken), LAYOUT, texts_of((0, 1)))
