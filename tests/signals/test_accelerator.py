"""The same on a GPU as on the processor; skipped where there is none."""

import pytest
import torch
from planted import matched_correlation, plant

from fbn_exp.core.layout import Site
from fbn_exp.core.rows import Rows
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.methods.canica import CanICA
from fbn_exp.methods.config import Independence
from fbn_exp.methods.dictionary import DictionaryLearning
from fbn_exp.methods.ica import ICA
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.load import load
from fbn_exp.reliability.config import Surrogate
from fbn_exp.reliability.icasso import Icasso
from fbn_exp.signals.config import SignalsConfig, Storage
from fbn_exp.signals.recording import recorded
from fbn_exp.thresholds.z import ZThreshold

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4}
SIZES = {"vocab_size": 259, "num_key_value_heads": 2}


def tiny(device, tmp_path):
    return load(
        ModelConfig(name="random:llama", device=device, random={**TINY, **SIZES}, dtype="float32"), tmp_path
    )


def texts():
    rng = torch.Generator().manual_seed(0)
    lengths = (17, 30, 5)
    ids = [tuple(torch.randint(0, 256, (length,), generator=rng).tolist()) for length in lengths]
    return Texts(tuple(TokenisedText(each, Document(str(each), "random")) for each in ids))


@pytest.mark.parametrize("storage", list(Storage))
def test_signals_recorded_on_a_gpu_are_those_of_the_processor(storage, tmp_path):
    found = {}
    for device, place in (("cpu", Storage.memory), ("cuda", storage)):
        lm = tiny(device, tmp_path)
        with recorded(
            lm, texts(), lm.layout(Site.mlp_output), SignalsConfig(storage=place), tmp_path
        ) as signals:
            expected = "cuda" if device == "cuda" and storage in ("auto", "accelerator") else "cpu"
            assert signals.values.device.type == expected
            found[device] = signals.values.cpu().clone()
            assert signals.neurons.mean.device.type == "cpu"
    torch.testing.assert_close(found["cuda"], found["cpu"], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "method", [ICA(6), ICA(6, independence=Independence.spatial), CanICA(6), DictionaryLearning(6)]
)
def test_every_method_finds_on_a_gpu_what_it_finds_on_the_processor(method):
    rng = torch.Generator().manual_seed(0)
    # independent over tokens and over neurons, so that every method has one answer
    courses = torch.randn(900, 6, generator=rng) ** 3
    maps = torch.randn(6, 700, generator=rng) * (torch.rand(6, 700, generator=rng) < 0.1)
    signals = courses @ maps + 0.05 * torch.randn(900, 700, generator=rng)
    texts = Rows((90,) * 10)
    expected = method.fit(signals, texts).maps_
    found = method.fit(signals.cuda(), texts)
    assert found.maps_.device.type == found.time_courses_.device.type == "cpu"
    assert matched_correlation(found.maps_, expected).min() > 0.99


def test_networks_found_on_a_gpu_are_the_planted_ones():
    signals, planted = plant(n_tokens=4_000, n_neurons=1_000, n_networks=6, noise=0.1)
    found = ICA(6).fit(signals.cuda())
    assert found.maps_.device.type == found.time_courses_.device.type == "cpu"
    assert matched_correlation(found.maps_, planted).min() > 0.99


def test_an_edit_on_a_gpu_does_what_it_does_on_the_processor(tmp_path):
    logits = {}
    for device in ("cpu", "cuda"):
        lm = tiny(device, tmp_path)
        layout = lm.layout(Site.mlp_output)
        scale = torch.ones(layout.n_neurons)
        scale[::7] = 0.5
        ids = torch.arange(20, device=lm.device)[None]
        with applied(lm.model, layout, AffineEdit(scale, torch.zeros_like(scale))), torch.inference_mode():
            logits[device] = lm.model(input_ids=ids).logits.cpu()
    torch.testing.assert_close(logits["cuda"], logits["cpu"], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("null", [Surrogate.phase, Surrogate.shift])
def test_reliability_of_signals_on_a_gpu_is_that_of_the_processor(null):
    signals, planted = plant(n_tokens=2_000, n_neurons=300, n_networks=5, noise=0.3)
    on_gpu, texts = signals.cuda(), Rows((100,) * 20)
    found = Icasso(runs=6, rotations=99, surrogate=null, orders=[3]).wrap(ICA(5), ZThreshold())
    found.fit(on_gpu, texts)
    assert torch.equal(on_gpu.cpu(), signals)
    assert matched_correlation(found.maps_, planted).min() > 0.99
    assert found.report_.statistics["iq"].min() > 0.9
    assert found.report_.statistics[f"p_{null}"].max() == pytest.approx(1 / 20)
