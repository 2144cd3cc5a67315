"""The public API: light to import, documented by examples that run, and what the stages do."""

import doctest
import inspect
import subprocess
import sys

import pandas as pd
import pytest
import torch

import fbn_exp as fbn
from fbn_exp.core.errors import BenchmarkError, ConfigError, LayoutError, NetworksError

HEAVY = ("torch", "numpy", "pandas", "transformers", "hydra", "matplotlib", "importlib.metadata")
# needs a data set of the hub; needs the hub, which tests/networks/sharing stands in for
NOT_RUN = ("Harness", "push_networks")
DOCSTRINGS = {name: inspect.getdoc(getattr(fbn, name)) for name in fbn._PUBLIC}


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return fbn.load_model("tiny", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def signals(lm):
    return fbn.record(lm, fbn.load_texts("wiki", lm, n_texts=20, tokens_per_text=64), skip_first=1)


@pytest.fixture(scope="module")
def networks(signals):
    return fbn.fit(fbn.ICA(n_components=4), signals)


@pytest.fixture
def world(lm, signals, networks, monkeypatch, tmp_path):
    """Names that the examples use, in a folder that they may write to."""
    load_model = fbn.load_model
    monkeypatch.setattr(fbn, "load_model", lambda name, **settings: load_model("tiny"))
    monkeypatch.setattr(fbn, "load_networks", lambda folder: networks)
    load_texts = fbn.load_texts
    monkeypatch.setattr(
        fbn, "load_texts", lambda source, model, **settings: load_texts("wiki", model, n_texts=9)
    )
    monkeypatch.chdir(tmp_path)
    lesion = fbn.Inhibit([0]).on(networks)
    return {
        "fbn": fbn,
        "lm": lm,
        "texts": signals.texts,
        "signals": signals,
        "networks": networks,
        "lesion": lesion,
    }


def test_to_import_the_package_imports_nothing_heavy():
    code = f"import sys, fbn_exp; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_public_names_are_listed_and_no_other_is_found():
    assert set(fbn.__all__) == set(fbn._PUBLIC)
    assert {*fbn.__all__, "__version__"} <= set(dir(fbn))
    assert fbn.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'Lesion'"):
        fbn.Lesion  # noqa: B018


@pytest.mark.parametrize("name", sorted(fbn._PUBLIC))
def test_every_public_name_has_an_example_that_runs(name, world):
    docstring = DOCSTRINGS[name]
    assert "\nExamples\n--------\n" in docstring
    examples = doctest.DocTestParser().get_examples(docstring)
    assert examples
    for example in examples if name not in NOT_RUN else ():
        exec(example.source, world)


def test_the_ten_lines_of_the_design(lm, signals, tmp_path):
    networks = fbn.fit(fbn.ICA(n_components=4), signals, keep_time_courses=True)
    assert networks.time_courses.shape == (len(signals.values), 4)
    lesion = fbn.Inhibit([3]).on(networks, fbn.ZThreshold(1.96))
    before = lm.generate("The train", new_tokens=6)
    with fbn.Scale(factor=1_000.0).on(networks).applied(lm):  # random weights are small
        assert lm.generate("The train", new_tokens=6) != before
    assert lm.generate("The train", new_tokens=6) == before
    frame = fbn.score(lm, fbn.Perplexity("wiki"), lesion, controls=2, cache=tmp_path).to_frame()
    assert list(frame["metric"]) == ["nats_per_token", "bits_per_byte"]
    assert (frame["control_random_low"] <= frame["control_random_high"]).all()
    assert frame["higher_is_better"].dtype == bool
    statistics = lesion.target.statistics.all
    expected = float(statistics.mean_square[lesion.target.members].sum())
    assert frame["energy"].tolist() == pytest.approx([expected] * 2)
    assert frame["energy_share"].tolist() == pytest.approx(
        [expected / float(statistics.mean_square.sum())] * 2
    )
    assert frame["control_energy_energy"].tolist() == pytest.approx([expected] * 2, rel=0.1)
    assert frame["control_noise_energy"].tolist() == pytest.approx([expected] * 2)


def test_what_is_shown_of_an_object_is_one_line(lm, signals, networks, tmp_path):
    assert repr(signals) == "Signals(1,251 tokens × 256 neurons of random:llama, mlp_output)"
    assert repr(signals.texts) == "Texts(20 texts, 1,271 tokens from the embedded corpus wiki, split train)"
    assert repr(lm) == "LanguageModel(random:llama, float32, on cpu)"
    assert repr(networks) == "FunctionalNetworks(4 networks over 4 × 64 neurons, mlp_output, of random:llama)"
    lesion = fbn.Inhibit([3]).on(networks)
    assert repr(lesion) == f"inhibit on networks 3: {lesion.target.size} neurons"
    scores = fbn.score(lm, fbn.Perplexity("wiki"), lesion, controls=0, cache=tmp_path)
    assert repr(scores).startswith("Scores(perplexity_wiki/nats_per_token ")
    assert "\n" not in repr(scores)
    assert repr(fbn.ICA(n_components=4)).startswith("ICA(n_components=4, seed=0,")


def test_networks_as_a_table_and_as_a_picture(networks):
    frame = networks.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame["size"].tolist() == networks.masks(fbn.ZThreshold()).sum(dim=1).tolist()
    assert networks.plot(3).axes


def test_plain_names_are_taken_and_wrong_ones_listed(lm, signals):
    hidden = fbn.record(lm, signals.texts, site="mlp_hidden", standardise="row_l2")
    assert hidden.layout.site is fbn.Site.mlp_hidden
    assert torch.allclose(hidden.values.norm(dim=1), torch.ones(len(hidden.values)))
    with pytest.raises(ConfigError, match="site is 'mlp', must be one of mlp_output, mlp_hidden"):
        fbn.record(lm, signals.texts, site="mlp")


def test_networks_are_not_scored_on_the_texts_that_they_come_from(lm, networks):
    from fbn_exp.datasets.embedded import EmbeddedDataset

    same = fbn.Perplexity(EmbeddedDataset("wiki", n_texts=20, tokens_per_text=64))
    with pytest.raises(BenchmarkError, match="20 of the 20 texts"):
        fbn.score(lm, same, fbn.Inhibit([0]).on(networks))


def test_a_lesion_is_refused_on_another_model(networks):
    lesion = fbn.Inhibit([0]).on(networks)
    other = fbn.load_model(
        "tiny",
        random={"vocab_size": 259, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    )
    with pytest.raises(LayoutError, match="extract again"), lesion.applied(other):
        pass
    with pytest.raises(LayoutError, match="extract again"):
        fbn.score(other, fbn.Perplexity("news"), lesion)


def test_networks_survive_a_folder_and_know_how_their_signals_were_made(networks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    networks.save("mine/networks")
    again = fbn.FunctionalNetworks.load("mine/networks")
    assert torch.equal(again.maps, networks.maps)
    assert again.masks().tolist() == networks.masks(fbn.ZThreshold(1.96)).tolist()
    made = again.provenance["config"]
    assert (made["site"], made["signals"]["first_tokens_excluded"]) == ("mlp_output", 1)
    assert made["method"]["n_components"] == 4


def test_scores_under_an_active_intervention_are_refused_not_kept(lm, networks, tmp_path):
    everything = fbn.Scale(factor=1_000.0).on(networks)
    with everything.applied(lm), pytest.raises(BenchmarkError, match="leave its context"):
        fbn.score(lm, fbn.Perplexity("news"), cache=tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_networks_recorded_under_an_intervention_are_not_those_of_the_weights(lm, signals, networks):
    with fbn.Scale(factor=3.0).on(networks).applied(lm):
        changed = fbn.fit(fbn.PCA(n_components=3), fbn.record(lm, signals.texts))
    with pytest.raises(NetworksError, match="other weights"), fbn.Inhibit([0]).on(changed).applied(lm):
        pass
    with fbn.Inhibit([0]).on(changed, same_weights=False).applied(lm):
        pass


def test_what_is_no_lesion_no_source_or_no_count_is_said(lm, networks, tmp_path):
    news, lesion = fbn.Perplexity("news"), fbn.Inhibit([0]).on(networks)
    with pytest.raises(ConfigError, match=r"lesion\.on\(networks\)"):
        fbn.score(lm, news, fbn.Inhibit([0]), cache=tmp_path)
    with pytest.raises(ConfigError, match=r"controls\.repeats is -1"):
        fbn.score(lm, news, lesion, controls=-1, cache=tmp_path)
    with pytest.raises(ConfigError, match=r"'wikii' is neither a file nor a data set.*wiki, wikitext2"):
        fbn.load_texts("wikii", lm)
    with pytest.raises(ConfigError, match="at least one token"):
        lm.generate("")
    with pytest.raises(ConfigError, match="site is 'mlp'"):
        lm.layout("mlp")
