"""Packed rows against lm-eval's own, over architectures, edits, windows, and models that cannot."""

import random
from types import MethodType

import numpy as np
import pytest
import torch
from component_edits import random_projection, random_subtraction
from zoo import ZOO

from fbn_exp.benchmarks.harness.choices import Way
from fbn_exp.benchmarks.harness.model import harness_model
from fbn_exp.benchmarks.harness.riders import Riders
from fbn_exp.core.layout import Site
from fbn_exp.interventions.config import Place
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.interventions.resample import Donors, ResampleEdit
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.models.sites import resolve

# attention with biases by distance, and code that takes neither positions nor a cache
CANNOT = {"bloom": Way.cached, "mpt": Way.cached, "chatglm": Way.rows}


def language_model(model):
    """Weights so large that tokens far back matter."""
    for weight in model.parameters():
        weight.data *= 4
    if not hasattr(model, "dtype"):  # what stands for the code of others
        model.device, model.dtype, model.tie_weights = torch.device("cpu"), torch.float32, lambda: None
    return LanguageModel(model, byte_tokenizer(), ModelConfig(name="x", dtype="float32", device="cpu"), None)


def requests(seed=0, n_contexts=7, n_choices=4):
    """Contexts of 1 to 40 tokens with choices of 1 to 6, some of which begin alike, in any order."""
    rng = random.Random(seed)
    made = []
    for length in [40, 1, *(rng.randrange(2, 40) for _ in range(n_contexts - 2))]:
        context = [rng.randrange(250) for _ in range(length)]
        for _ in range(n_choices):
            words = [rng.randrange(3) for _ in range(rng.randrange(1, 7))]
            made.append((("", ""), context, words))
    rng.shuffle(made)
    return made


def both(lm, some=None, batch_size=8):
    """Answers of the harness model by default, those of lm-eval's rows, and the way that was taken."""
    some = requests() if some is None else some
    shared, plain = (harness_model(lm, batch_size, packed) for packed in (True, False))
    answers = [model._loglikelihood_tokens(some, disable_tqdm=True) for model in (shared, plain)]
    return *answers, shared._shared


def assert_equal(found, expected, tolerance=1e-4):
    values = np.array([[value for value, _ in answers] for answers in (found, expected)])
    np.testing.assert_allclose(values[0], values[1], atol=tolerance, rtol=0)
    assert values[1].std() > 1  # the choices differ
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]


@pytest.mark.parametrize("name", ZOO)
def test_log_likelihoods_are_those_of_lm_evals_rows_in_every_architecture(name):
    found, expected, shared = both(language_model(ZOO[name].build()))
    assert_equal(found, expected)
    assert shared.way is CANNOT.get(name, Way.packed)
    assert len(shared.remarks) == {Way.packed: 0, Way.cached: 1, Way.rows: 2}[shared.way]


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom"])
def test_the_most_likely_continuation_is_known_as_such(name):
    """The model's own greedy words among the choices."""
    lm = language_model(ZOO[name].build())
    some = []
    for seed in range(4):
        context = [random.Random(seed).randrange(250) for _ in range(5 + seed)]
        own = lm.model.generate(
            torch.tensor([context]), max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        words = own[0, len(context) :].tolist()
        some += [
            (("", ""), context, words),
            (("", ""), context, [*words[:2], 7]),
            (("", ""), context, [words[0]]),
        ]
    found, expected, _ = both(lm, some)
    assert_equal(found, expected)
    assert [greedy for _, greedy in found] == [True, False, True] * 4


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        *((name, kernel) for name in ("mistral", "gemma3_text", "qwen2") for kernel in ("eager", "sdpa")),
        # these have one kernel only
        ("gemma2", "eager"),
        ("gpt_oss", "eager"),
    ],
)
def test_windows_of_attention_are_kept_where_rows_are_longer(name, attention):
    window = {"sliding_window": 6}
    if name == "qwen2":
        window |= {"use_sliding_window": True, "max_window_layers": 1}
    model = random_model(name, dict(ZOO[name].arguments) | window).eval()
    model.set_attn_implementation(attention)
    lm = language_model(model)
    found, expected, shared = both(lm)
    assert_equal(found, expected)
    assert shared.way is Way.packed
    # they matter
    whole = language_model(random_model(name, dict(ZOO[name].arguments)).eval())
    wide = [value for value, _ in harness_model(whole, 8, False)._loglikelihood_tokens(requests())]
    assert np.abs(np.array(wide) - [value for value, _ in expected]).max() > 0.01


def test_a_bias_by_distance_takes_the_cache_of_the_context():
    model = random_model("falcon", dict(ZOO["falcon"].arguments) | {"alibi": True}).eval()
    found, expected, shared = both(language_model(model))
    assert_equal(found, expected)
    assert shared.way is Way.cached
    assert "alibi" in shared.remarks[0]


def test_a_kernel_that_takes_no_mask_of_its_own_is_not_packed(monkeypatch):
    lm = language_model(ZOO["llama"].build())
    monkeypatch.setattr(lm.model.config, "_attn_implementation_internal", "flash_attention_2")
    shared = harness_model(lm, 8, True)._shared
    assert shared._obstacle == "the attention kernel flash_attention_2 takes no mask of its own"


def edits(layout):
    generator = torch.Generator().manual_seed(0)
    donors = Donors(*(torch.randn(2, 5, layout.n_neurons, generator=generator)), seed=0)
    factor = (torch.rand(layout.n_neurons, generator=generator) > 0.3).float()
    return {
        "resample": ResampleEdit(factor, donors),
        "first_spared": ResampleEdit(factor, donors, Place.first_spared),
        "first_only": ResampleEdit(factor, donors, Place.first_only),
        "project": random_projection(layout),
        "subtract": random_subtraction(layout),
    }


@pytest.mark.parametrize("kind", ["resample", "first_spared", "first_only", "project", "subtract"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "opt", "bloom"])
def test_edits_see_the_positions_of_rows_of_their_own(name, kind):
    lm = language_model(ZOO[name].build())
    untouched, _, _ = both(lm)
    layout = resolve(lm.model, Site.mlp_output)
    with applied(lm.model, layout, edits(layout)[kind]):
        found, expected, shared = both(lm)
    assert_equal(found, expected)
    assert not np.allclose([each for each, _ in found], [each for each, _ in untouched], atol=0.1)
    # subtract follows no cache whose rows are repeated
    bloom = Way.rows if kind == "subtract" else Way.cached
    assert shared.way is (bloom if name == "bloom" else Way.packed)


@pytest.mark.parametrize("name", ZOO)
def test_edits_that_share_batches_give_what_each_gives_alone(name):
    lm = language_model(ZOO[name].build())
    layout = resolve(lm.model, Site.mlp_output)
    some, kinds = requests(), edits(layout)
    plain = harness_model(lm, 8, False)
    for together in (scales(layout), [kinds["first_spared"], kinds["project"], kinds["first_only"]]):
        model = harness_model(lm, 8, True)
        riders = Riders(lm.model, layout, together)
        with model.riding(riders):
            for riders.turn, edit in enumerate(together):
                found = model._loglikelihood_tokens(some, disable_tqdm=True)
                with applied(lm.model, layout, edit):
                    expected = plain._loglikelihood_tokens(some, disable_tqdm=True)
                assert_equal(found, expected)
        assert model._shared.way is CANNOT.get(name, Way.packed)
        # code that takes no cache cannot have copies of rows either
        alone = [remark for remark in model.remarks if "edits_per_batch" in remark]
        assert len(alone) == (model._shared.way is Way.rows)


def scales(layout):
    generator = torch.Generator().manual_seed(0)
    return [
        AffineEdit((torch.rand(layout.n_neurons, generator=generator) > share).float(), shift)
        for share in (0.1, 0.4)
        for shift in (torch.zeros(layout.n_neurons), torch.ones(layout.n_neurons))
    ]


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom"])
def test_what_is_too_long_for_the_model_is_cut_as_lm_eval_cuts_it(name, monkeypatch, caplog):
    lm = language_model(ZOO[name].build())
    shared, plain = (harness_model(lm, 8, packed) for packed in (True, False))
    for model in (shared, plain):
        monkeypatch.setattr(model, "_max_length", 20)
    assert shared.max_length == 20
    answers = [model._loglikelihood_tokens(requests(), disable_tqdm=True) for model in (shared, plain)]
    assert_equal(*answers)
    assert max(map(len, next(iter(shared._shared._plans.values())))) <= 45
    assert "cut on the left to 20 tokens" in caplog.text


def test_only_the_places_that_count_reach_the_head_and_contexts_pass_once():
    lm = language_model(ZOO["llama"].build())
    counts = {"head": 0, "body": 0}

    def count(name):
        def add(module, args, output):
            counts[name] += output.shape[:2].numel()

        return add

    lm.model.lm_head.register_forward_hook(count("head"))
    lm.model.model.embed_tokens.register_forward_hook(count("body"))
    some = [
        (("", ""), list(range(length, length + 30)), [word, word + 1])
        for length in (1, 50)
        for word in range(4)
    ]
    shared = harness_model(lm, 8, True)._shared
    shared._plan(some)
    assert sorted(member for member, _ in shared._scored(shared._plans[Way.packed])) == list(range(8))
    # two contexts of 30 tokens; of each choice its first token is read, and predicts the second
    assert counts["body"] == 2 * (30 + 4)
    assert counts["head"] == 2 * (1 + 4)


def test_a_model_that_ignores_the_mask_is_found_out():
    lm = language_model(ZOO["llama"].build())
    forward = lm.model.forward

    def maskless(self, input_ids, attention_mask=None, position_ids=None, **others):
        return forward(input_ids=input_ids, position_ids=position_ids, **others)

    lm.model.forward = MethodType(maskless, lm.model)
    found, expected, shared = both(lm)
    assert_equal(found, expected)
    assert shared.way is Way.cached
    assert "nats off those of lm-eval's own rows" in shared.remarks[0]


def test_a_model_that_fails_at_everything_is_scored_in_rows_and_says_so(caplog):
    lm = language_model(ZOO["llama"].build())
    forward = lm.model.forward

    def picky(self, input_ids, position_ids=None, use_cache=None):
        if use_cache:
            raise NotImplementedError("no cache here")
        if position_ids is not None:
            raise ValueError("no positions here")
        return forward(input_ids=input_ids)

    lm.model.forward = MethodType(picky, lm.model)
    found, expected, shared = both(lm)
    assert found == expected
    assert shared.way is Way.rows
    packed, cached = shared.remarks
    assert packed.startswith("benchmark.packed: no packed rows (")
    assert cached.startswith("benchmark.packed: no shared cache (")
    assert cached.endswith("choices are scored in lm-eval's own rows.")
    assert caplog.text.count("benchmark.packed") == 2


def test_a_head_that_is_no_module_of_its_own_is_read_at_the_same_places():
    lm = language_model(ZOO["llama"].build())
    lm.model.get_output_embeddings = lambda: None
    found, expected, shared = both(lm)
    assert_equal(found, expected)
    assert shared.way is Way.packed


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_number_formats_are_packed_too(dtype):
    lm = language_model(ZOO["llama"].build())
    lm.model.to(dtype)
    found, expected, shared = both(lm)
    assert shared.way is Way.packed
    differences = [one - other for (one, _), (other, _) in zip(found, expected, strict=True)]
    assert np.abs(differences).max() < 1


def test_a_broken_model_has_the_same_broken_numbers():
    lm = language_model(ZOO["llama"].build())
    lm.model.model.norm.weight.data[3] = float("nan")
    found, expected, shared = both(lm)
    assert shared.way is Way.packed
    assert np.isnan([value for value, _ in [*found, *expected]]).all()


def test_the_batch_size_does_not_matter_and_may_be_measured(monkeypatch):
    lm = language_model(ZOO["llama"].build())
    first, expected, _ = both(lm, batch_size=1)
    assert_equal(first, expected)
    for size in (3, "auto"):
        assert_equal(both(lm, batch_size=size)[0], expected)


def test_windows_of_running_text_are_lm_evals_own():
    lm = language_model(ZOO["llama"].build())
    shared, plain = (harness_model(lm, 8, packed) for packed in (True, False))

    class Text:
        args = ("some running text " * 40,)

    answers = [model.loglikelihood_rolling([Text(), Text()], disable_tqdm=True) for model in (shared, plain)]
    assert answers[0] == answers[1]


def test_requests_that_come_again_are_not_packed_again():
    lm = language_model(ZOO["llama"].build())
    shared = harness_model(lm, 8, True)
    first = shared._loglikelihood_tokens(requests(), disable_tqdm=True)
    rows = shared._shared._plans[Way.packed]
    assert shared._loglikelihood_tokens(requests(), disable_tqdm=True) == first
    assert shared._shared._plans[Way.packed] is rows
    others = requests(seed=5)
    assert_equal(shared._loglikelihood_tokens(others, disable_tqdm=True), both(lm, others)[1])
