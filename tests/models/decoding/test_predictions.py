"""Logits from slices of hidden states are those of the model's own forward pass."""

import pytest
import torch
from drawn import build, draw_texts, shared
from zoo import ZOO

from fbn_exp.core.layout import Site
from fbn_exp.datasets.batches import pad
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.models.decoding import predictions as module
from fbn_exp.models.decoding.predictions import head_works_apart, nats_per_row, predictions
from fbn_exp.models.random import random_model

SMALL = {
    "vocab_size": 259,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


def inputs():
    texts = draw_texts((9, 4, 1, 7))
    ids, mask = pad(texts.ids, 0)
    return {"input_ids": ids, "attention_mask": mask, "use_cache": False}


def assert_same(model, monkeypatch, apart=True):
    monkeypatch.setattr(module, "HEAD_VALUES", 3 * 259)
    monkeypatch.setattr(module, "LOSS_VALUES", 2 * 259)
    given = inputs()
    ids, mask = given["input_ids"], given["attention_mask"]
    with torch.no_grad():
        own = model(**given).logits
        found = predictions(model, **given)
        assert (found.body_output is not None) == apart
        rows, columns = mask.nonzero(as_tuple=True)
        torch.testing.assert_close(found.logits(rows, columns), own[rows, columns], rtol=1e-5, atol=1e-5)
        likelihood = own.double().log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
        expected = -(likelihood * mask[:, 1:]).sum(dim=1)
        torch.testing.assert_close(nats_per_row(model, ids, mask), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in ZOO if name != "chatglm"])
def test_logits_in_slices_are_those_of_the_model(name, monkeypatch):
    # OPT's model reaches into its body
    assert_same(build(name).model, monkeypatch, apart=name != "opt")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gemma2", {"final_logit_softcapping": 0.5}),
        ("cohere", {"logit_scale": 3.0}),
        ("granite", {"logits_scaling": 0.1}),
    ],
)
def test_what_a_model_does_to_its_logits_is_done(name, settings, monkeypatch):
    model = random_model(name, {**SMALL, **settings}).eval()
    hidden = predictions(model, **inputs())
    head = model.get_output_embeddings()
    # or else it would prove nothing
    assert (head(hidden.states[0]) - model(**inputs()).logits[0]).abs().max() > 1e-3
    assert_same(model, monkeypatch)


def test_a_model_whose_head_does_not_work_apart_makes_its_own_logits(monkeypatch):
    model = build("llama").model
    forward = model.forward

    def by_length(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits = output.logits * kwargs["input_ids"].shape[0]
        return output

    model.forward = by_length
    assert_same(model, monkeypatch, apart=False)


def test_the_head_is_run_at_the_places_that_are_asked_for():
    model, seen = build("llama").model, []
    predictions(model, **inputs())
    handle = model.get_output_embeddings().register_forward_hook(lambda *call: seen.append(call[-1].shape[1]))
    found = predictions(model, **inputs())
    found.logits([0, 0, 1], [0, 3, 2])
    handle.remove()
    assert seen == [1, 3]


@pytest.mark.parametrize("first", [False, True])
def test_an_edit_is_in_the_predictions(first, monkeypatch):
    lm = shared("llama")
    assert head_works_apart(lm.model)
    layout = lm.layout(Site.mlp_output)
    scale = torch.rand(layout.n_neurons)
    edit = AffineEdit(scale, torch.zeros_like(scale), torch.ones_like(scale) if first else None)
    with applied(lm.model, layout, edit):
        assert_same(lm.model, monkeypatch)


def test_a_head_is_not_tried_under_an_edit():
    lm = build("llama")
    layout = lm.layout(Site.mlp_output)
    with applied(lm.model, layout, AffineEdit(torch.zeros(layout.n_neurons), torch.zeros(layout.n_neurons))):
        assert predictions(lm.model, **inputs()).body_output is None
    assert predictions(lm.model, **inputs()).body_output is not None
