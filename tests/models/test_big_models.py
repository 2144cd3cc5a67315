import importlib.util

import pytest
import torch
from drawn import draw_texts
from zoo import TINY

from fbn_exp.core.errors import FoldError, ModelError
from fbn_exp.core.layout import Site
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.interventions.fold import folded
from fbn_exp.models.config import ModelConfig, Precision, Quantization
from fbn_exp.models.load import load
from fbn_exp.models.precision import check_quantization
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.recording import recorded

SITES = list(Site)


def placed(everything):
    """A device map that has every part of a 4-block llama in one place."""
    parts = ["embed_tokens", *(f"layers.{index}" for index in range(4)), "norm", "rotary_emb"]
    return {f"model.{part}": everything for part in parts} | {"lm_head": everything}


PARTLY = placed("cpu") | {"model.layers.1": "disk", "model.layers.2": "disk"}
MAPS = {
    "partly on disk": PARTLY,
    "embeddings on disk": PARTLY | {"model.embed_tokens": "disk", "lm_head": "disk"},
}


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def folder(request, tmp_path):
    random_model("llama", {**TINY, "tie_word_embeddings": request.param}).save_pretrained(tmp_path / "tiny")
    byte_tokenizer().save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def config(folder, **changes):
    return ModelConfig(name=str(folder), dtype=Precision.float32, device="cpu", **changes)


def both(folder, device_map):
    """The plain model and one whose weights are partly offloaded."""
    plain = load(config(folder), folder)
    offloaded = load(config(folder, device_map=device_map), folder)
    assert any(weight.is_meta for weight in offloaded.model.parameters())
    return plain, offloaded


@pytest.mark.parametrize("device_map", MAPS.values(), ids=MAPS.keys())
def test_an_offloaded_model_has_the_digest_and_the_device_of_the_plain_one(folder, device_map):
    plain, offloaded = both(folder, device_map)
    assert offloaded.weight_digest == plain.weight_digest
    assert offloaded.device == torch.device("cpu")
    assert any(weight.is_meta for weight in offloaded.model.parameters())  # fetched, not kept


@pytest.mark.parametrize("site", SITES)
def test_signals_of_an_offloaded_model_are_those_of_the_plain_one(folder, site, tmp_path):
    found = []
    for lm in both(folder, MAPS["embeddings on disk"]):
        with recorded(lm, draw_texts(), lm.layout(site), SignalsConfig(), tmp_path) as signals:
            found.append(signals.values)
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("site", SITES)
def test_an_edit_of_an_offloaded_model_is_that_of_the_plain_one(folder, site):
    ids, logits, changed = torch.arange(10)[None], [], []
    for lm in both(folder, MAPS["partly on disk"]):
        layout = lm.layout(site)
        scale = torch.rand(layout.n_neurons, generator=torch.Generator().manual_seed(0)) * 2
        edit = AffineEdit(scale, torch.full((layout.n_neurons,), 0.1))
        with torch.no_grad():
            logits.append(lm.model(input_ids=ids).logits)
            with applied(lm.model, layout, edit):
                changed.append(lm.model(input_ids=ids).logits)
            assert torch.equal(lm.model(input_ids=ids).logits, logits[-1])
    torch.testing.assert_close(*changed, atol=1e-5, rtol=1e-5)
    assert (changed[0] - logits[0]).abs().max() > 100 * 1e-5


def test_a_model_that_accelerate_places_by_itself_is_recorded_as_the_plain_one(folder, tmp_path):
    found = []
    for device_map in (None, "auto"):
        lm = load(config(folder, device_map=device_map), folder)
        with recorded(lm, draw_texts(), lm.layout(Site.mlp_output), SignalsConfig(), tmp_path) as signals:
            found.append(signals.values.cpu())
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_an_offloaded_model_is_not_folded(folder):
    _, offloaded = both(folder, PARTLY)
    layout = offloaded.layout(Site.mlp_output)
    edit = AffineEdit(torch.zeros(layout.n_neurons), torch.zeros(layout.n_neurons))
    with pytest.raises(FoldError, match="device_map=cpu"):
        folded(offloaded.model, layout, edit)


def test_quantised_loading_says_what_is_missing(tmp_path):
    asked = ModelConfig(name="somewhere/far-away", device="cpu", quantization=Quantization.nf4)
    if importlib.util.find_spec("bitsandbytes") is None:
        with pytest.raises(ModelError, match="pip install bitsandbytes"):
            load(asked, tmp_path)
    else:
        with pytest.raises(ModelError, match="runs on cuda and cpu, and the model would run on mps"):
            check_quantization(Quantization.nf4, "somewhere/far-away", torch.device("mps"))
    asked = ModelConfig(name="random:llama", device="cpu", quantization=Quantization.int8, random=TINY)
    with pytest.raises(ModelError, match=r"quantization is int8.*random weights"):
        load(asked, tmp_path)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("how", [Quantization.int8, Quantization.nf4])
def test_a_quantised_model_is_recorded_and_edited(how, device, tmp_path):
    pytest.importorskip("bitsandbytes")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    folder = tmp_path / "wide"
    # on a processor 4 bits are packed in groups of 64 inputs
    random_model("llama", {**TINY, "intermediate_size": 128}).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    precision = Precision.float16 if device == "cuda" else Precision.float32
    plain = load(ModelConfig(name=str(folder), device=device, dtype=precision), tmp_path)
    ids = torch.arange(10, device=device)[None]
    exact = plain.model(input_ids=ids).logits.float()
    asked = ModelConfig(name=str(folder), device=device, dtype=precision, quantization=how)
    lm = load(asked, tmp_path)
    assert lm.weight_digest != plain.weight_digest
    layout = lm.layout(Site.mlp_output)
    with recorded(lm, draw_texts(), layout, SignalsConfig(), tmp_path) as signals:
        assert signals.values.isfinite().all()
    with torch.no_grad():
        close = lm.model(input_ids=ids).logits.float()
        assert torch.corrcoef(torch.stack([close.flatten(), exact.flatten()]))[0, 1] > 0.9
        with applied(lm.model, layout, AffineEdit(torch.zeros(256), torch.zeros(256))):
            assert not torch.equal(lm.model(input_ids=ids).logits.float(), close)
