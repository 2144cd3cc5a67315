"""Size of edits on a sample of activations, against sums by hand and against a running model."""

import logging

import pytest
import torch
from drawn import draw_texts, shared

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.interventions.component.subtract import SubtractEdit
from fbn_exp.interventions.edit import AffineEdit, applied, no_edit
from fbn_exp.interventions.resample import ResampleEdit
from fbn_exp.interventions.sample import recording
from fbn_exp.interventions.sample.activations import ActivationSample
from fbn_exp.interventions.sample.recording import obtain_sample, record_sample, sample_texts
from fbn_exp.models.hooks import visited
from fbn_exp.models.positions import Tokens

LAYOUT = NeuronLayout.of(Site.mlp_output, ["a", "b"], [2, 1])


def small_sample():
    """Two texts of two tokens; first tokens come first."""
    return ActivationSample(
        LAYOUT,
        torch.tensor([[10.0, 0.0, 1.0], [20.0, 2.0, 1.0], [1.0, 2.0, 3.0], [-1.0, 4.0, 1.0]]),
        torch.tensor([0, 0, 1, 1]),
        torch.tensor([0, 1, 0, 1]),
        torch.tensor([[5.0, 1.0], [10.0, 2.0], [2.0, 4.0], [1.0, 4.0]]),
    )


def test_energy_is_the_sum_of_squared_changes_per_token():
    sample = small_sample()
    edit = AffineEdit(torch.tensor([0.0, 1.0, 0.5]), torch.tensor([0.0, 0.0, 1.0]))
    # first neuron to 0; third: x/2 + 1, a change of 1 - x/2 = .5, .5, -.5, .5
    per_neuron = [(100 + 400 + 1 + 1) / 4, 0.0, 4 * 0.25 / 4]
    assert sample.neuron_energy(edit).tolist() == per_neuron
    assert sample.energy(edit) == sum(per_neuron)
    # |change| over the norm behind the block: 10/5, 20/10, 1/2, 1/1 and .5/1, .5/2, .5/4, .5/4
    size = sample.size(edit, torch.nn.Module())
    assert size.energy == sum(per_neuron)
    assert size.residual_change == pytest.approx(
        ((2 + 2 + 0.5 + 1) / 4 + (0.5 + 0.25 + 0.125 + 0.125) / 4) / 2
    )


def test_affine_edits_have_the_energy_of_their_changes_token_by_token():
    lm, texts = shared("llama"), draw_texts()
    layout = lm.layout(Site.mlp_output)
    sample = record_sample(lm, layout, texts)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(4, layout.n_neurons, generator=generator)
    tokens = Tokens(sample.positions)
    for edit in (
        AffineEdit(*vectors[:2]),
        AffineEdit(*vectors),
        AffineEdit(*vectors[:2], first_scale=vectors[2]),
    ):
        changed = torch.cat(
            [edit.change(block, sample.values[:, block.columns], tokens) for block in layout.blocks], dim=1
        )
        expected = (changed - sample.values).double().square().mean(dim=0)
        torch.testing.assert_close(sample.neuron_energy(edit), expected, rtol=1e-5, atol=1e-12)
        assert sample.size(edit, lm.model).energy == pytest.approx(float(expected.sum()), rel=1e-5)


def test_an_edit_of_first_tokens_has_their_energy_alone():
    sample = small_sample()
    ones, zeros = torch.ones(3), torch.zeros(3)
    sparing = AffineEdit(zeros, zeros, first_scale=ones, first_shift=zeros)
    assert sample.energy(sparing) == (1 + 4 + 9 + 1 + 16 + 1) / 4


def test_what_changes_nothing_has_no_size():
    size = small_sample().size(no_edit(3), torch.nn.Module())
    assert (size.energy, size.residual_change) == (0.0, 0.0)


def test_an_edit_of_other_neurons_is_refused():
    with pytest.raises(LayoutError, match="3 neurons"):
        small_sample().energy(no_edit(4))


def test_donors_are_the_rows_by_kind_of_token():
    donors = small_sample().donors(seed=7)
    assert donors.first.tolist() == [[10.0, 0.0, 1.0], [20.0, 2.0, 1.0]]
    assert donors.others.tolist() == [[1.0, 2.0, 3.0], [-1.0, 4.0, 1.0]]
    assert donors.seed == 7
    edit = ResampleEdit(torch.tensor([0.0, 1.0, 1.0]), donors)
    place = int(donors.chosen[1])
    first = [10.0, 20.0][donors.chosen_first]
    other = [1.0, -1.0][place]
    expected = [(10 - first) ** 2, (20 - first) ** 2, (1 - other) ** 2, (-1 - other) ** 2]
    assert small_sample().energy(edit) == sum(expected) / 4


def recorded_by_hand(lm, layout, ids):
    seen = {}
    with torch.no_grad(), visited(lm.model, layout, lambda block, x: seen.update({block.path: x.clone()})):
        lm.model(input_ids=torch.tensor([ids]))
    return torch.cat([seen[block.path].reshape(len(ids), -1) for block in layout.blocks], dim=1)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3_text", "bloom", "chatglm"])
def test_recorded_rows_are_those_of_each_text_alone(architecture):
    lm, texts = shared(architecture), draw_texts()
    layout, streams = lm.layout(Site.mlp_output), lm.layout(Site.block_output)
    sample = record_sample(lm, layout, texts)
    assert len(sample.values) == texts.n_tokens
    assert sample.first[: len(texts)].all()
    assert not sample.first[len(texts) :].any()
    for number, ids in enumerate(texts.ids):
        rows = (sample.texts == number).nonzero()[:, 0]
        assert sample.positions[rows].tolist() == list(range(len(ids)))
        by_hand = recorded_by_hand(lm, layout, ids)
        torch.testing.assert_close(sample.values[rows], by_hand, rtol=1e-4, atol=1e-4)
        stream = recorded_by_hand(lm, streams, ids)
        norms = torch.stack([stream[:, block.columns].norm(dim=1) for block in streams.blocks], dim=1)
        torch.testing.assert_close(sample.residual_norms[rows], norms, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("site", [Site.mlp_output, Site.mlp_hidden, Site.block_output])
@pytest.mark.parametrize(
    "architecture", ["llama", "gpt2", "gemma2", "gemma3_text", "glm4", "bloom", "opt", "phi", "gpt_neox"]
)
def test_the_change_of_the_residual_stream_is_that_of_a_running_model(architecture, site):
    lm, texts = shared(architecture), draw_texts()
    layout, streams = lm.layout(site), lm.layout(Site.block_output)
    sample = record_sample(lm, layout, texts)
    # in the last block, so that no other block is changed by what it reads
    edit = no_edit(layout.n_neurons)
    last = layout.blocks[-1]
    edit.scale[last.columns] = 0.3
    edit.shift[last.columns] = 0.1
    ratios, squares = [], []
    for ids in texts.ids:
        before, activations = recorded_by_hand(lm, streams, ids), recorded_by_hand(lm, layout, ids)
        with applied(lm.model, layout, edit):
            after = recorded_by_hand(lm, streams, ids)
        block = streams.blocks[-1].columns
        ratios.append((after - before)[:, block].norm(dim=1) / before[:, block].norm(dim=1))
        squares.append((0.1 - 0.7 * activations[:, last.columns]).square().sum(dim=1))
    size = sample.size(edit, lm.model)
    assert size.residual_change == pytest.approx(float(torch.cat(ratios).mean()), rel=1e-3)
    assert size.residual_change == sample.residual_change(edit, lm.model)
    assert size.energy == pytest.approx(float(torch.cat(squares).mean()), rel=1e-4)


def test_a_subtraction_has_the_size_that_it_has_in_a_running_model():
    lm, texts = shared("llama"), draw_texts()
    layout = lm.layout(Site.mlp_output)
    sample = record_sample(lm, layout, texts)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, layout.n_neurons, generator=generator)
    centre = 0.01 * torch.randn(2, layout.n_neurons, generator=generator)
    edit = SubtractEdit(
        patterns=maps,
        filters=torch.linalg.pinv(maps).T.contiguous(),
        factors=(0.0, 0.5),
        centre=centre[0],
        first_centre=centre[1],
    )
    tokens = Tokens(sample.positions)
    taken = edit.courses(sample.values, tokens) * torch.tensor([1.0, 0.5]) @ maps
    assert sample.energy(edit) == pytest.approx(float(taken.square().sum(dim=1).mean()), rel=1e-4)


def test_a_second_request_reads_the_cache_and_a_damaged_entry_is_recorded_again(
    tmp_path, caplog, monkeypatch
):
    lm, texts = shared("llama"), draw_texts()
    layout = lm.layout(Site.mlp_output)
    first = obtain_sample(lm, layout, texts, tmp_path)
    (file,) = tmp_path.rglob("*.safetensors")
    written = file.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(recording, "record_sample", lambda *_: pytest.fail("the entry is there"))
        again = obtain_sample(lm, layout, texts, tmp_path)
    for name in ("values", "positions", "texts", "residual_norms"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    for damaged in (written[:-4], written[:-1] + bytes([written[-1] ^ 1]), b""):
        file.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            repaired = obtain_sample(lm, layout, texts, tmp_path)
        assert "is damaged" in caplog.text
        assert torch.equal(repaired.values, first.values)
        assert file.read_bytes() == written


def test_other_texts_and_other_sites_are_other_entries(tmp_path):
    lm = shared("llama")
    for site in (Site.mlp_output, Site.block_output):
        for seed in (0, 1):
            obtain_sample(lm, lm.layout(site), draw_texts(seed=seed), tmp_path)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4


def test_few_short_texts_are_recorded_and_fewer_of_a_large_model(tiny_model, monkeypatch):
    layout = tiny_model.layout(Site.mlp_output)
    texts = sample_texts(EmbeddedDataset("wiki", n_texts=100), tiny_model, layout)
    assert (len(texts), set(texts.lengths)) == (32, {32})
    assert len(sample_texts(EmbeddedDataset("wiki", n_texts=5), tiny_model, layout)) == 5
    monkeypatch.setattr(recording, "LARGEST_BYTES", 4 * layout.n_neurons * 32 * 7)
    assert len(sample_texts(EmbeddedDataset("wiki", n_texts=100), tiny_model, layout)) == 7
