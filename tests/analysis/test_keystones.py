"""A planted keystone is found, at its exact cost, whatever is reused; the cache holds what was computed."""

import copy
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from zoo import PLACES, ZOO

from fbn_exp.analysis.base import Recording
from fbn_exp.analysis.keystones import scan as scanning
from fbn_exp.analysis.keystones.analysis import Keystones, obtain_keystones
from fbn_exp.analysis.keystones.attention import attention_to_first
from fbn_exp.analysis.keystones.firing import energies_under
from fbn_exp.analysis.keystones.scan import ScanFile, known_keystones, known_scans
from fbn_exp.analysis.keystones.zeroing import Where, Zeroing, losses
from fbn_exp.core.files import digest, write_json
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.hooks import visited
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.z import ZThreshold

BLOCK, INDEX = 1, 5
# texts of different lengths, so that batches hold padding
TEXTS = (
    "A keystone holds an arch.\nWithout it,",
    "the arch falls: every stone",
    "leans on it. Or so",
    "they say",
)


def texts(tokenizer, written=TEXTS) -> Texts:
    items = [TokenisedText(tuple(tokenizer(text)["input_ids"]), Document(text, "here")) for text in written]
    return Texts(tuple(items))


@pytest.fixture
def planted(tiny_model):
    """A tiny model in which one neuron is far louder than all others, and turned against the next token."""
    with torch.no_grad():
        layer = tiny_model.model.model.layers[BLOCK].mlp.down_proj
        layer.weight[INDEX] *= 200
        # predictions that depend on the text, so that a neuron can cost something
        tiny_model.model.lm_head.weight *= 60
    return tiny_model


def language_model(name: str) -> LanguageModel:
    model = ZOO[name].build()
    if name == "chatglm":
        # what its own class inherits from transformers
        model.get_input_embeddings, model.dtype = lambda: model.transformer.embedding, torch.float32
    return LanguageModel(model, byte_tokenizer(), ModelConfig(name=f"random:{name}"), None)


def by_hand(lm, all_texts) -> np.ndarray:
    """Nats of each text, one at a time, with nothing but the model's own logits."""
    nats = []
    with torch.inference_mode():
        for ids in all_texts.ids:
            logs = lm.model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
            nats.append(-float(logs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].double().sum()))
    return np.array(nats)


def test_a_planted_keystone_costs_what_a_model_without_its_row_costs(planted, tmp_path):
    layout = planted.layout("mlp_output")
    some = texts(planted.tokenizer)
    found = ScanFile(tmp_path, planted, layout, some, 64).scan(10, tmp_path)
    neuron = found.neurons[0]
    assert layout.locate(neuron.column) == (BLOCK, INDEX)
    without = copy.deepcopy(planted.model)
    without.model.layers[BLOCK].mlp.down_proj.weight.data[INDEX] = 0
    cut = LanguageModel(without, planted.tokenizer, planted.config, None)
    untouched, lesioned = by_hand(planted, some), by_hand(cut, some)
    predicted = np.array(some.lengths) - 1
    assert found.untouched == pytest.approx(untouched, rel=1e-5)
    assert found.without[0] == pytest.approx(lesioned, rel=1e-5)
    cost = (lesioned - untouched).sum() / predicted.sum()
    assert found.nats[0] == pytest.approx(cost, rel=1e-4)
    # a ratio of sums over texts: its standard error by the residuals of the texts
    residual = (lesioned - untouched) - cost * predicted
    expected = np.sqrt(4 / 3 * np.square(residual).sum()) / predicted.sum()
    assert found.standard_error[0] == pytest.approx(expected, rel=1e-4)
    assert found.mask(found.nats[0] * 0.99).nonzero().tolist() == [[neuron.column]]
    assert np.abs(found.nats[1:]).max() < abs(found.nats[0])


def test_the_model_is_the_same_to_the_bit_after_a_scan_and_attention(planted, tmp_path):
    ids = torch.tensor([texts(planted.tokenizer).ids[0]])
    before, state = planted.model(input_ids=ids).logits, copy.deepcopy(planted.model.state_dict())
    implementation = planted.model.config._attn_implementation
    known = ScanFile(tmp_path, planted, planted.layout("mlp_output"), texts(planted.tokenizer), 64)
    known.scan(5, tmp_path)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in planted.model.modules())
    # transformers leaves its own hooks behind, which do nothing unless asked for weights
    assert known.attention([Zeroing(), Zeroing((3,))]).shape == (2, 4)
    assert torch.equal(planted.model(input_ids=ids).logits, before)
    assert all(torch.equal(value, state[name]) for name, value in planted.model.state_dict().items())
    assert planted.model.config._attn_implementation == implementation
    assert not any("forward" in module.__dict__ for module in planted.model.modules())


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_losses_are_those_of_plain_passes_in_every_architecture_and_batch(name, site, caplog):
    lm = language_model(name)
    layout = lm.layout(site)
    some, last = texts(lm.tokenizer), layout.n_neurons - 1
    edits = [
        Zeroing(),
        *(Zeroing((column,), where) for column in (3, layout.n_neurons // 2, last) for where in Where),
        Zeroing((last - 4,)),
        Zeroing((1, last)),
    ]
    with caplog.at_level(logging.INFO):
        many = losses(lm, layout, some.ids, edits, 400)
    assert "every pass is a whole one" not in caplog.text
    assert losses(lm, layout, some.ids, edits, 1) == pytest.approx(many, rel=1e-5)
    assert many == pytest.approx(np.array([direct(lm, layout, some, edit) for edit in edits]), rel=1e-5)
    # the two halves of the tokens are not the same edit
    assert not np.allclose(many[2], many[3], rtol=1e-9)


def test_blocks_that_hand_on_more_than_their_output_are_run_again(tiny_model, caplog):
    layers = tiny_model.model.model.layers
    second, last = layers[1].mlp.forward, layers[3].mlp.forward
    left = {}

    def leaving(hidden):
        left["hidden"] = hidden
        return second(hidden)

    # as architectures do that share keys and values between blocks
    layers[1].mlp.forward = leaving
    layers[3].mlp.forward = lambda hidden: last(hidden) + left.pop("hidden")
    layout, some = tiny_model.layout("mlp_output"), texts(tiny_model.tokenizer)
    edits = [Zeroing((layout.blocks[2].offset,)), Zeroing((layout.n_neurons - 1,))]
    with caplog.at_level(logging.INFO):
        found = losses(tiny_model, layout, some.ids, edits, 64)
    assert "every pass is a whole one" in caplog.text
    assert found == pytest.approx(
        np.array([direct(tiny_model, layout, some, edit) for edit in edits]), rel=1e-5
    )


def direct(lm, layout, some, edit) -> list[float]:
    """Nats of each text, one at a time, with torch's own hooks on the modules of the layout."""
    handles = []
    for neuron in edit.neurons:
        block, place = layout.locate(neuron)
        module = lm.model.get_submodule(layout.blocks[block].path)

        def changed(tensor, place=place):
            values = tensor.clone()
            # one text: its rows are its tokens
            flat = values.view(-1, values.shape[-1])
            flat[edit.where.positions, place] = 0
            return values

        def on_output(module, args, output, changed=changed):
            return (changed(output[0]), *output[1:]) if isinstance(output, tuple) else changed(output)

        def on_input(module, args, changed=changed):
            return (changed(args[0]), *args[1:])

        reads = layout.site is Site.mlp_hidden
        register = module.register_forward_pre_hook if reads else module.register_forward_hook
        handles.append(register(on_input if reads else on_output))
    try:
        return by_hand(lm, some).tolist()
    finally:
        for handle in handles:
            handle.remove()


def test_a_longer_scan_extends_a_shorter_one_and_a_repeated_one_computes_nothing(
    planted, tmp_path, monkeypatch
):
    layout, some = planted.layout("mlp_output"), texts(planted.tokenizer)
    asked = []
    original = scanning.losses

    def counted(lm, layout, ids, edits, batch_tokens):
        asked.append(len(edits))
        return original(lm, layout, ids, edits, batch_tokens)

    monkeypatch.setattr(scanning, "losses", counted)
    scans = [ScanFile(tmp_path, planted, layout, some, 64).scan(count, tmp_path) for count in (4, 9, 9, 3)]
    assert asked == [5, 5]
    assert [len(each.neurons) for each in scans] == [4, 9, 9, 3]
    assert np.array_equal(scans[1].without, scans[2].without)
    assert scans[1].neurons == scans[2].neurons
    assert np.array_equal(scans[3].nats, scans[1].nats[:3])
    (kept,) = known_scans(tmp_path, planted, layout)
    assert np.array_equal(kept.nats, scans[1].nats)


def test_scans_at_the_same_time_lose_nothing_of_each_other(planted, tmp_path):
    layout, some = planted.layout("mlp_output"), texts(planted.tokenizer)
    one, other = (ScanFile(tmp_path, planted, layout, some, 64) for _ in range(2))
    long = one.scan(6, tmp_path)
    other.losses([Zeroing((1,), Where.first)])
    other.scan(2, tmp_path)
    again = ScanFile(tmp_path, planted, layout, some, 64)
    assert len(again.entry["energies"]["neurons"]) == 6
    assert "first:1" in again.entry["losses"]
    assert np.array_equal(known_scans(tmp_path, planted, layout)[0].nats, long.nats)


def test_energies_are_kept_where_all_losses_are_known(planted, tmp_path, monkeypatch):
    layout, some = planted.layout("mlp_output"), texts(planted.tokenizer)
    first = ScanFile(tmp_path, planted, layout, some, 64)
    first.scan(3, tmp_path)
    entry = json.loads(first.file.read_text())
    del entry["sha256"]
    entry["energies"] = None
    write_json(first.file, {**entry, "sha256": digest(entry)})
    assert known_scans(tmp_path, planted, layout) == []
    ScanFile(tmp_path, planted, layout, some, 64).scan(3, tmp_path)
    monkeypatch.setattr(scanning, "largest_energies", None)
    assert len(ScanFile(tmp_path, planted, layout, some, 64).scan(3, tmp_path).neurons) == 3


def test_a_damaged_entry_is_said_and_computed_again(planted, tmp_path, caplog):
    layout, some = planted.layout("mlp_output"), texts(planted.tokenizer)
    first = ScanFile(tmp_path, planted, layout, some, 64)
    before = first.scan(3, tmp_path)
    entry = json.loads(first.file.read_text())
    entry["losses"][f"all:{before.neurons[0].column}"][0] += 1
    for damaged in (json.dumps(entry), first.file.read_text()[:-40], "[]", "{}", "null"):
        first.file.write_text(damaged)
        caplog.clear()
        assert known_keystones(tmp_path, planted, layout) is None
        assert "is damaged, its neurons are scanned again" in caplog.text
        after = ScanFile(tmp_path, planted, layout, some, 64).scan(3, tmp_path)
        assert np.array_equal(after.without, before.without)


def test_known_keystones_are_those_of_all_scans_of_the_same_weights_and_site(planted, tmp_path):
    layout = planted.layout("mlp_output")
    assert known_keystones(tmp_path, planted, layout) is None
    one, other = texts(planted.tokenizer, TEXTS[:2]), texts(planted.tokenizer, TEXTS[2:])
    scans = [ScanFile(tmp_path, planted, layout, each, 64).scan(6, tmp_path) for each in (one, other)]
    bound = min(float(np.sort(scan.nats)[-2]) for scan in scans)
    mask = known_keystones(tmp_path, planted, layout, bound)
    assert torch.equal(mask, scans[0].mask(bound) | scans[1].mask(bound))
    assert known_keystones(tmp_path, planted, planted.layout("mlp_hidden")) is None
    changed = copy.deepcopy(planted.model)
    changed.lm_head.weight.data *= 2
    again = LanguageModel(changed, planted.tokenizer, planted.config, None)
    assert known_keystones(tmp_path, again, layout) is None


def test_a_loss_that_is_not_a_number_makes_a_keystone(planted, tmp_path):
    known = ScanFile(tmp_path, planted, planted.layout("mlp_output"), texts(planted.tokenizer), 64)
    found = known.scan(3, tmp_path)
    found.without[1] = np.nan
    assert found.keystones(1e6) == [1]


def test_neurons_are_told_by_the_tokens_at_which_they_fire(planted, tmp_path):
    layout = planted.layout("mlp_hidden")
    some = texts(planted.tokenizer)
    scan = ScanFile(tmp_path, planted, layout, some, 64).scan(20, tmp_path)
    shares = scan.energies.token_shares
    assert shares["first token"] == pytest.approx(len(some) / some.n_tokens)
    assert shares["white space"] == pytest.approx(sum(map(str.isspace, "".join(TEXTS))) / some.n_tokens)
    energies = [neuron.energy for neuron in scan.neurons]
    assert energies == sorted(energies, reverse=True)
    for neuron in scan.neurons:
        strongest = neuron.strongest[0]
        assert abs(strongest.activation) == max(abs(each.activation) for each in neuron.strongest)
        assert strongest.token == TEXTS[strongest.text][strongest.position]
        assert sum(neuron.shares.values()) <= 1 + 1e-9
    assert scan.energies.total >= sum(energies)


def test_attention_to_the_first_token_is_the_mean_over_heads_and_later_tokens(planted):
    layout, some = planted.layout("mlp_output"), texts(planted.tokenizer)
    column = layout.blocks[BLOCK].offset + INDEX
    untouched, without = attention_to_first(planted, layout, some.ids, [Zeroing(), Zeroing((column,))])
    planted.model.set_attn_implementation("eager")
    expected = np.zeros(4)
    for ids in some.ids:
        weights = planted.model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
        expected += [float(layer.detach()[0, :, 1:, 0].mean(0).sum()) for layer in weights]
    later = some.n_tokens - len(some)
    assert untouched == pytest.approx(expected / later, rel=1e-5)
    # blocks up to the neuron's own see no difference
    assert without[: BLOCK + 1] == pytest.approx(untouched[: BLOCK + 1], rel=1e-6)
    assert not np.allclose(without[BLOCK + 1 :], untouched[BLOCK + 1 :], rtol=1e-3)


def test_energies_under_an_edit_are_those_of_a_model_without_the_neuron(planted):
    layout, some = planted.layout("mlp_output"), texts(planted.tokenizer)
    column = layout.blocks[BLOCK].offset + INDEX
    asked = [2, column, layout.n_neurons - 1]
    found = energies_under(planted, layout, some.ids, asked, [Zeroing(), Zeroing((column,))], 64)
    without = copy.deepcopy(planted.model)
    without.model.layers[BLOCK].mlp.down_proj.weight.data[INDEX] = 0
    for row, model in enumerate((planted.model, without)):
        values = []
        for ids in some.ids:
            kept = []
            with (
                torch.inference_mode(),
                visited(model, layout, lambda block, value, kept=kept: kept.append(value)),
            ):
                model(input_ids=torch.tensor([ids]))
            values.append(torch.cat(kept, dim=-1)[0])
        expected = torch.cat(values)[:, asked].double().square().mean(dim=0)
        assert found[row] == pytest.approx(expected.numpy(), rel=1e-5)
    # what comes before it is as it was, it is 0 itself, and what follows differs
    assert found[1, 0] == pytest.approx(found[0, 0], rel=1e-6)
    assert found[1, 1] == 0
    assert found[1, 2] != pytest.approx(found[0, 2], rel=1e-3)


@pytest.fixture
def analysis(planted, tmp_path):
    """What the analysis finds in the planted model, at a threshold that the planted neuron alone exceeds."""
    measured = Keystones(dataset=EmbeddedDataset("wiki", n_texts=3, tokens_per_text=40), n_neurons=8)
    measured.prepare(planted)
    layout = planted.layout("mlp_output")
    known = measured.scan_file(tmp_path, planted, layout).scan(8, tmp_path)
    measured.minimum_nats = float(np.sort(known.nats)[-2:].mean())
    maps = torch.zeros(2, layout.n_neurons)
    maps[0, layout.blocks[BLOCK].offset + INDEX] = 1
    maps[1, 0] = 1
    recording = Recording(planted, layout, None, None, tmp_path, tmp_path)
    return measured.measure(FunctionalNetworks(maps, layout), ZThreshold(), recording)


def test_the_analysis_says_where_it_sits_what_it_costs_and_who_holds_it(analysis):
    (keystone,) = analysis.keystones
    assert analysis.scan.layout.locate(keystone.neuron.column) == (BLOCK, INDEX)
    assert keystone.nats == pytest.approx(analysis.scan.nats.max())
    assert analysis.together == pytest.approx(keystone.nats)
    assert keystone.networks == (0,)
    assert keystone.attention == pytest.approx(analysis.attention_together)
    assert analysis.members.shape == (2, 8)
    assert analysis.energy_left.tolist() == [[0.0]]


def test_keystones_are_obtained_by_the_scan_of_the_command(planted, tmp_path, caplog):
    corpus = EmbeddedDataset("wiki", tokens_per_text=30)
    layout = planted.layout("mlp_output")
    command = Keystones(dataset=replace(corpus, split="dev", n_texts=8))
    command.prepare(planted)
    expected = command.scan_file(tmp_path, planted, layout).scan(command.n_neurons, tmp_path).mask(0.5)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert torch.equal(obtain_keystones(corpus, planted, layout, tmp_path, tmp_path), expected)
    assert "losses with neurons at 0 are computed" not in caplog.text


def test_a_model_without_attention_weights_is_measured_without_them(tmp_path):
    lm = language_model("chatglm")
    measured = Keystones(dataset=EmbeddedDataset("wiki", n_texts=2, tokens_per_text=20), n_neurons=2)
    measured.prepare(lm)
    layout = lm.layout("mlp_output")
    networks = FunctionalNetworks(torch.eye(2, layout.n_neurons), layout)
    found = measured.measure(networks, ZThreshold(), Recording(lm, layout, None, None, tmp_path, tmp_path))
    assert found.attention is None
    assert found.attention_together is None
