"""The fingerprint through the whole stage, on tiny models of known origin, and a push of an extraction."""

import pandas as pd
import pytest
import torch
from hub_stand_in import connect, served
from huggingface_hub import constants
from in_process import composed
from scripts import TINY, result_of
from transformers import AutoModelForCausalLM

from fbn_exp.api import load_networks
from fbn_exp.core.errors import NetworksError
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.networks.sharing import pull
from fbn_exp.stages import evaluate, extract

FEW = ("dataset.n_texts=12", "figures.max_networks=0", "tracking=none")
WIDE = {
    "vocab_size": 259,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def run(stage, folder, *overrides):
    script = stage.__name__.rpartition(".")[2]
    cfg = composed(*TINY, *FEW, f"cache={folder.parent / 'cache'}", *overrides, script=script, folder=folder)
    stage.run(cfg)
    return result_of(folder)


def saved(folder, model):
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model, one with a little noise in its weights, and one of another shape and seed; their networks."""
    place = tmp_path_factory.mktemp("models")
    first = random_model("llama", WIDE).float()
    saved(place / "first", first)
    changed = AutoModelForCausalLM.from_pretrained(place / "first")
    with torch.no_grad():
        for weight in changed.parameters():
            weight += (
                0.02 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
            )
    saved(place / "changed", changed)
    torch.manual_seed(5)
    saved(
        place / "stranger",
        AutoModelForCausalLM.from_config(first.config.__class__(**{**WIDE, "hidden_size": 32})),
    )
    for name in ("first", "changed", "stranger"):
        run(extract, place / f"{name}_networks", f"model.name={place / name}", "method.n_components=3")
    return place


def compared(models, folder, *overrides):
    names = (
        f"model.name={models / 'first'}",
        f"networks={models / 'first_networks' / 'networks'}",
        f"analysis.other={models / 'changed_networks' / 'networks'}",
        "analysis=fingerprint",
        "analysis.dataset.n_texts=12",
        "analysis.texts_per_sample=4",
        "analysis.draws=19",
    )
    return run(evaluate, folder, *names, *overrides)


def test_a_model_with_a_little_noise_is_shown_to_be_of_the_same_origin(models, tmp_path):
    result = compared(
        models, tmp_path / "run", f"analysis.references=[{models / 'stranger_networks' / 'networks'}]"
    )
    metrics = result["metrics"]
    assert metrics["fingerprint/score"] > 0.5
    assert metrics["fingerprint/null_texts/p_value"] == pytest.approx(1 / 20)
    assert metrics["fingerprint/reference_0/margin_ci_low"] > 0
    assert metrics["fingerprint/same_origin_shown"] == 1
    assert metrics["fingerprint/shared_tokens"] == 1
    samples = pd.read_csv(tmp_path / "run" / "tables" / "fingerprint_samples.csv")
    assert len(samples) == 6  # of either model, three samples of four texts
    assert (tmp_path / "run" / "figures" / "fingerprint.png").stat().st_size > 5_000


def test_without_a_model_of_another_origin_nothing_is_shown(models, tmp_path):
    result = compared(models, tmp_path / "run", f"analysis.other_model={models / 'changed'}")
    assert result["metrics"]["fingerprint/same_origin_shown"] == 0
    assert any("analysis.references" in remark for remark in result["remarks"])


def test_networks_of_other_weights_than_the_other_model_are_refused(models, tmp_path):
    with pytest.raises(NetworksError, match="other weights"):
        compared(models, tmp_path / "run", f"analysis.other_model={models / 'first'}")


def test_an_extraction_is_pushed_with_its_drivers_and_evaluated_from_the_hub(tmp_path, monkeypatch):
    with served() as hub:
        connect(monkeypatch, hub)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        pull._pulled.cache_clear()
        result = run(extract, tmp_path / "run", "networks.push=user/tiny-networks", "networks.license=mit")
        assert result["finished"]
        card = hub.commits[hub.branches["user/tiny-networks"]["main"]]["README.md"].decode()
        assert "license: mit" in card
        assert "driven by" in card
        measured = run(
            evaluate,
            tmp_path / "connectivity",
            "networks=user/tiny-networks",
            "analysis=connectivity",
            "analysis.dataset.n_texts=8",
            "analysis.draws=19",
        )
        assert measured["metrics"]["connectivity/texts"] == 8
        assert len(load_networks("user/tiny-networks")) == 4


def test_a_push_without_a_token_is_refused_before_the_model_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(NetworksError, match="without a token"):
        run(extract, tmp_path / "run", "model.name=/nowhere", "networks.push=user/tiny-networks")
