import logging
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
import torch
from drawn import LENGTHS, build, draw_texts, shared
from zoo import DEPTH, WIDTH, ZOO, Place

from fbn_exp.core.errors import ConfigError, SignalError
from fbn_exp.core.layout import Site
from fbn_exp.core.memmap import is_mapped
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.base import Signals
from fbn_exp.signals.config import SignalsConfig, Standardise, Storage
from fbn_exp.signals.recording import recorded
from fbn_exp.signals.storage import GIB, allocated, choose_storage

ARCHITECTURES = ("llama", "gemma2", "mixtral", "gpt2", "opt", "bloom", "chatglm")
PLACES = [
    pytest.param(name, site, id=f"{name}-{site.value}")
    for name in ARCHITECTURES
    for site, place in ZOO[name].places.items()
    if place is not None
]


def record(lm: LanguageModel, texts: Texts, scratch, site: Site = Site.mlp_output, **settings) -> Signals:
    with recorded(lm, texts, lm.layout(site), SignalsConfig(**settings), scratch) as signals:
        return signals


def by_hand(lm: LanguageModel, ids: Sequence[int], place: Place) -> torch.Tensor:
    """Activations of one text, (tokens, neurons), seen by hooks on the named module of every block."""
    seen = []

    def keep(_, args, output):
        value = args[0] if place.tensor == "input" else output
        value = value[0] if isinstance(value, tuple) else value
        seen.append(value.reshape(len(ids), place.width).float().clone())

    with ExitStack() as hooks, torch.no_grad():
        for index in range(DEPTH):
            handle = lm.model.get_submodule(place.in_block(index)).register_forward_hook(keep)
            hooks.callback(handle.remove)
        lm.model(input_ids=torch.tensor([ids]))
    return torch.cat(seen, dim=1)


def n_hooks(model: torch.nn.Module) -> int:
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


@pytest.mark.parametrize(("architecture", "site"), PLACES)
def test_recorded_values_are_those_of_a_hook_on_each_text_alone(architecture, site, tmp_path):
    lm, texts = shared(architecture), draw_texts()
    expected = torch.cat([by_hand(lm, ids, ZOO[architecture].places[site]) for ids in texts.ids])
    tolerance = 1e-5 * float(expected.abs().max())
    assert expected.std(dim=0).median() > 1_000 * tolerance  # or else it would prove nothing
    for batch_tokens in (1, 24, 64, 10_000):
        values = record(lm, texts, tmp_path, site, batch_tokens=batch_tokens).values
        torch.testing.assert_close(values, expected, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_has_no_row_and_batch_mates_do_not_matter(architecture, tmp_path):
    lm, texts = shared(architecture), draw_texts()
    together = record(lm, texts, tmp_path, batch_tokens=10_000)
    others = Texts((*draw_texts((30, 2), seed=1).items, *texts.items))
    beside = record(lm, others, tmp_path, batch_tokens=10_000)
    assert together.values.shape == (sum(LENGTHS), DEPTH * WIDTH)
    tolerance = 1e-5 * float(together.values.abs().max())
    torch.testing.assert_close(beside.values[32:], together.values, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("excluded", [1, 3, 7])
def test_first_tokens_are_left_out_also_of_texts_that_have_no_more(excluded, tmp_path):
    lm, texts = shared("llama"), draw_texts()
    full = record(lm, texts, tmp_path).values.split(list(LENGTHS))
    found = record(lm, texts, tmp_path, first_tokens_excluded=excluded)
    torch.testing.assert_close(found.values, torch.cat([each[excluded:] for each in full]))
    text, position = found.rows.text, found.rows.position
    looked_up = torch.stack([full[i][j] for i, j in zip(text, position, strict=True)])
    torch.testing.assert_close(found.values, looked_up)


@pytest.mark.parametrize("how", Standardise)
def test_signals_on_disk_are_those_in_memory_and_the_file_goes(how, tmp_path):
    lm, texts = shared("llama"), draw_texts()
    in_memory = record(lm, texts, tmp_path, standardise=how).values
    config = SignalsConfig(memory_budget_gb=1e-9, standardise=how)
    with recorded(lm, texts, lm.layout(Site.mlp_output), config, tmp_path / "a" / "scratch") as signals:
        assert is_mapped(signals.values)
        assert torch.equal(signals.values, in_memory)
        # the file has no name: nothing of it is left even if the process is killed here
        assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not list((tmp_path / "a" / "scratch").iterdir())


def test_the_room_that_signals_need_on_disk_is_said_beside_what_there_is(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        record(shared("llama"), draw_texts(), tmp_path, storage=Storage.disk)
    size = sum(LENGTHS) * DEPTH * WIDTH * 4
    words = (
        f"signals: 42 tokens × 96 neurons, {size / 2**10:.2f} KiB, needed on the disk of {tmp_path}, which"
    )
    assert words in caplog.text
    assert caplog.text.index(words) == caplog.text.index("signals: ")


def test_an_exception_in_the_body_removes_the_file(tmp_path):
    def interrupted(lm: LanguageModel) -> None:
        config = SignalsConfig(memory_budget_gb=1e-9)
        with recorded(lm, draw_texts(), lm.layout(Site.mlp_output), config, tmp_path) as signals:
            assert is_mapped(signals.values)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(shared("llama"))
    assert not list(tmp_path.iterdir())


def test_signals_larger_than_the_disk_are_refused_not_begun(tmp_path):
    huge, cpu = (10**12, 10**4), torch.device("cpu")
    refused = pytest.raises(SignalError, match="free: raise the budget")
    with refused, allocated(huge, SignalsConfig(), cpu, tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def overflowing(token: int) -> LanguageModel:
    """A llama whose block 1 overflows at one token: an axis that only that token's embedding has."""
    lm = build("llama")
    with torch.no_grad():
        embeddings = lm.model.get_input_embeddings().weight
        embeddings[:, 0] = 0
        embeddings[token, 0] = 1e3
        for block in lm.model.model.layers:
            block.self_attn.o_proj.weight[0] = 0
            block.mlp.down_proj.weight[0] = 0
        lm.model.model.layers[1].mlp.gate_proj.weight[:, 0] = 1e20
        lm.model.model.layers[1].mlp.up_proj.weight[:, 0] = 1e20
    return lm


@pytest.mark.parametrize("budget", [4.0, 1e-9])
@pytest.mark.parametrize("batch_tokens", [1, 10_000])
def test_an_overflow_is_traced_to_block_text_and_token(batch_tokens, budget, tmp_path):
    lm, texts = overflowing(token=255), draw_texts()
    ids = list(texts.items[4].ids)
    ids[3] = 255
    items = list(texts.items)
    items[4] = TokenisedText(tuple(ids), Document("", "book.txt line 9"))
    settings = {"batch_tokens": batch_tokens, "memory_budget_gb": budget, "first_tokens_excluded": 2}
    assert torch.isfinite(record(lm, texts, tmp_path, **settings).values).all()
    message = r"model\.layers\.1\.mlp, text 4 \(book\.txt line 9\), token 3: .*model\.dtype=float32"
    with pytest.raises(SignalError, match=message):
        record(lm, Texts(tuple(items)), tmp_path, **settings)
    assert n_hooks(lm.model) == 0
    assert not list(tmp_path.iterdir())


def test_a_broken_weight_is_traced_to_its_block(tmp_path):
    lm = build("gpt2")
    with torch.no_grad():
        lm.model.transformer.h[2].mlp.c_proj.weight[3, 5] = torch.nan
    with pytest.raises(SignalError, match=r"transformer\.h\.2\.mlp, text 2 \(origin 2\), token 0"):
        record(lm, draw_texts(), tmp_path)
    assert n_hooks(lm.model) == 0


def test_a_bfloat16_model_gives_float32_signals(tmp_path):
    lm, texts = build("llama", torch.bfloat16), draw_texts()
    found = record(lm, texts, tmp_path, batch_tokens=1).values
    place = ZOO["llama"].places[Site.mlp_output]
    assert found.dtype is torch.float32
    assert torch.equal(found, torch.cat([by_hand(lm, ids, place) for ids in texts.ids]))


def test_no_token_left_is_an_error(tmp_path):
    with pytest.raises(SignalError, match="all 7 texts have at most 12 tokens"):
        record(shared("llama"), draw_texts(), tmp_path, first_tokens_excluded=12)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_tokens_excluded", -1),
        ("batch_tokens", 0),
        ("memory_budget_gb", 0.0),
        ("memory_budget_gb", float("nan")),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=rf"signals\.{field} is {value}"):
        SignalsConfig(**{field: value})


def test_choices_may_be_given_by_name():
    config = SignalsConfig(standardise="zscore", storage="disk")
    assert (config.standardise, config.storage) == (Standardise.zscore, Storage.disk)
    with pytest.raises(ConfigError, match=r"signals\.standardise is 'z', must be one of none, zscore"):
        SignalsConfig(standardise="z")


@pytest.mark.parametrize("how", Standardise)
def test_statistics_are_of_the_raw_values_whatever_the_standardisation(how, tmp_path):
    lm, texts = shared("llama"), draw_texts()
    raw = record(lm, texts, tmp_path).values.double()
    found = record(lm, texts, tmp_path, standardise=how)
    torch.testing.assert_close(found.neurons.mean, raw.mean(dim=0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.neurons.mean_absolute, raw.abs().mean(dim=0), rtol=1e-5, atol=1e-6)
    spread = raw.std(dim=0, correction=0)
    torch.testing.assert_close(found.neurons.standard_deviation, spread, rtol=1e-5, atol=1e-6)
    assert found.row_norms.largest == pytest.approx(float(raw.norm(dim=1).max()), rel=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "opt", "chatglm"])
@pytest.mark.parametrize("excluded", [0, 1, 3])
@pytest.mark.parametrize(
    "settings", [{}, {"storage": Storage.disk, "standardise": "zscore", "batch_tokens": 24}]
)
def test_statistics_of_first_tokens_and_of_the_others_are_apart(architecture, excluded, settings, tmp_path):
    """First tokens have statistics also where the signals have no row for them."""
    lm, texts = shared(architecture), draw_texts()
    place = ZOO[architecture].places[Site.mlp_output]
    texts_alone = [by_hand(lm, ids, place).double() for ids in texts.ids]
    found = record(lm, texts, tmp_path, first_tokens_excluded=excluded, **settings)
    assert len(found.values) == sum(max(0, length - excluded) for length in LENGTHS)
    others = torch.cat([each[max(1, excluded) :] for each in texts_alone])
    parts = (
        (found.statistics.first, torch.stack([each[0] for each in texts_alone])),
        (
            found.statistics.others,
            others,
        ),
    )
    everything = torch.cat([part[1] for part in parts])
    for statistics, raw in (*parts, (found.statistics.all, everything)):
        assert statistics.n_tokens == len(raw)
        torch.testing.assert_close(statistics.mean, raw.mean(dim=0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(statistics.mean_absolute, raw.abs().mean(dim=0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(statistics.mean_square, raw.square().mean(dim=0), rtol=1e-4, atol=1e-5)
        spread = raw.std(dim=0, correction=0)
        torch.testing.assert_close(statistics.standard_deviation, spread, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(statistics.largest, raw.abs().amax(dim=0), rtol=1e-4, atol=1e-5)
    rows = everything if excluded == 0 else others
    torch.testing.assert_close(found.neurons.mean, rows.mean(dim=0), rtol=1e-4, atol=1e-5)


def test_first_tokens_of_texts_of_one_length_are_not_mixed_up(tmp_path):
    """As many rows as the batch has tokens: those of first tokens come last, not first."""
    lm, texts = shared("llama"), draw_texts((6, 6, 6))
    full = record(lm, texts, tmp_path).values.reshape(3, 6, -1)
    found = record(lm, texts, tmp_path, first_tokens_excluded=1, batch_tokens=10_000)
    torch.testing.assert_close(found.values.reshape(3, 5, -1), full[:, 1:])
    torch.testing.assert_close(
        found.statistics.first.mean, full[:, 0].double().mean(dim=0), rtol=1e-5, atol=1e-6
    )


def test_statistics_of_a_bfloat16_model_are_of_its_values(tmp_path):
    lm, texts = build("llama", torch.bfloat16), draw_texts()
    raw = record(lm, texts, tmp_path, batch_tokens=1).values
    found = record(lm, texts, tmp_path, batch_tokens=1, first_tokens_excluded=1)
    first = torch.tensor([sum(LENGTHS[:place]) for place in range(len(LENGTHS))])
    torch.testing.assert_close(
        found.statistics.first.mean.float(), raw[first].mean(dim=0), rtol=1e-5, atol=1e-6
    )


def test_zscore_standardises_every_neuron_over_tokens(tmp_path):
    values = record(shared("llama"), draw_texts(), tmp_path, standardise=Standardise.zscore).values
    torch.testing.assert_close(values.mean(dim=0), torch.zeros(DEPTH * WIDTH), rtol=0, atol=1e-5)
    torch.testing.assert_close(values.std(dim=0, correction=0), torch.ones(DEPTH * WIDTH), rtol=0, atol=1e-5)


def test_the_model_is_bit_identical_and_in_evaluation_mode_afterwards(tmp_path):
    lm = shared("mixtral")
    before = {name: weight.clone() for name, weight in lm.model.state_dict().items()}
    signals = record(lm, draw_texts(), tmp_path)
    after = lm.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in lm.model.modules())
    assert n_hooks(lm.model) == 0
    assert signals.tokens_per_second > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_language_model_head_is_not_run(architecture, tmp_path):
    lm, calls = shared(architecture), []
    handle = lm.model.get_output_embeddings().register_forward_hook(lambda *_: calls.append("head"))
    try:
        record(lm, draw_texts(), tmp_path)
        assert calls == []
        lm.model(input_ids=torch.tensor([[1, 2]]))
        assert calls == ["head"]
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("storage", "size", "expected"),
    [
        (Storage.auto, 3 * GIB, Storage.memory),
        (Storage.auto, 5 * GIB, Storage.disk),
        (Storage.disk, 1, Storage.disk),
        (Storage.memory, 5 * GIB, Storage.memory),
    ],
)
def test_signals_are_kept_where_there_is_room(storage, size, expected):
    config = SignalsConfig(storage=storage, memory_budget_gb=4)
    assert choose_storage(size, config, torch.device("cpu")) is expected


def test_an_accelerator_that_is_not_there_is_refused():
    with pytest.raises(SignalError, match=r"0\.00 GiB free on cpu"):
        choose_storage(1, SignalsConfig(storage=Storage.accelerator), torch.device("cpu"))
