"""The examples for other tools silence the same neurons as this package, on a model saved by transformers."""

import importlib.util
import json
import sys

import pytest
import torch
from scripts import REPOSITORY
from zoo import TINY

from fbn_exp.core.layout import Site
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.models.sites import resolve

TEXT = "The train left the station at"


def example(name):
    file = REPOSITORY / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder of a tiny model, the model, and a tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    model, tokenizer = random_model("llama", TINY).eval().float(), byte_tokenizer()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, model, tokenizer


def lesioned(model, ids, site, tmp_path):
    """What neurons.json tells of planted networks, and logits with one of them silenced here."""
    from synthetic import networks_of

    networks = networks_of(2, resolve(model, site))
    networks.save(tmp_path / "networks")
    told = json.loads((tmp_path / "networks" / "neurons.json").read_text())
    mask = networks.masks()[1]
    edit = AffineEdit((~mask).float(), torch.zeros(len(mask)))
    with torch.inference_mode(), applied(model, networks.layout, edit):
        return told, model(input_ids=ids).logits


@pytest.mark.parametrize("site", [Site.mlp_output, Site.mlp_hidden])
def test_nnsight_gives_the_same_logits(saved, tmp_path, site):
    pytest.importorskip("nnsight", reason="pip install nnsight")
    folder, model, tokenizer = saved
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    told, expected = lesioned(model, ids, site, tmp_path)
    module = example("nnsight_lesion")
    theirs = module.LanguageModel(str(folder), device_map="cpu", dispatch=True)
    logits = module.lesioned_logits(theirs, told, 1, TEXT)
    torch.testing.assert_close(logits.float(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("site", [Site.mlp_output, Site.mlp_hidden])
def test_transformer_lens_gives_the_same_logits(saved, tmp_path, site):
    pytest.importorskip("transformer_lens", reason="pip install transformer-lens")
    folder, model, tokenizer = saved
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    told, expected = lesioned(model, ids, site, tmp_path)
    module = example("transformer_lens_lesion")
    theirs = module.TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
    with torch.no_grad():
        logits = theirs.run_with_hooks(ids, fwd_hooks=module.hooks_of(told, 1))
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert "fbn_exp" not in {name for name in vars(module) if name in sys.modules}
