import dataclasses
import json
import logging
import os
import pickle

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from zoo import EMBEDDED, REPOSITORY, TINY, ZOO

from fbn_exp.config.register import register
from fbn_exp.core.errors import LayoutError, ModelError
from fbn_exp.core.layout import Site
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.load import load
from fbn_exp.models.random import byte_tokenizer, random_model

TEXT = "Zwölf neurons,\n\ttwo  networks 🧠"


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A local copy of a model, as anyone would save it."""
    tiny_model.model.save_pretrained(tmp_path / "tiny")
    tiny_model.tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def config(name, **changes):
    return ModelConfig(name=str(name), **{"dtype": Precision.float32, "device": "cpu", **changes})


def as_new(lm):
    """The same model, with nothing remembered about it."""
    return dataclasses.replace(lm)


def set_weight(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


# local folders


def test_a_local_folder_gives_the_model_that_was_saved(folder, tiny_model):
    lm = load(config(folder), folder)
    assert not lm.model.training
    assert lm.revision is None
    loaded, saved = lm.model.state_dict(), tiny_model.model.state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)
    assert lm.tokenizer(TEXT).input_ids == tiny_model.tokenizer(TEXT).input_ids == list_of_bytes(TEXT)
    assert lm.layout(Site.mlp_output).describe() == "4 × 64 neurons, mlp_output"


def list_of_bytes(text):
    """Ids of the byte tokenizer, from the alphabet that GPT-2 gives to bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {byte: chr(byte) for byte in plain}
    others = [byte for byte in range(256) if byte not in symbols]
    symbols |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    ids = {symbol: index for index, symbol in enumerate(sorted(symbols.values()))}
    return [ids[symbols[byte]] for byte in text.encode()]


@pytest.mark.parametrize("name", sorted(ZOO.keys() - {"chatglm"}))
def test_every_architecture_survives_saving_and_loading(name, tmp_path):
    model = ZOO[name].build()
    model.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    lm = load(config(tmp_path), tmp_path)
    ids = torch.arange(10)[None]
    with torch.no_grad():
        assert torch.equal(lm.model(input_ids=ids).logits, model(input_ids=ids).logits)
    assert lm.tokenizer(TEXT).input_ids == list_of_bytes(TEXT)
    assert lm.weight_digest == LanguageModel(model, byte_tokenizer(), config("x"), None).weight_digest


@pytest.mark.parametrize("device_map", ["cpu", "auto"])
def test_a_device_map_gives_the_same_model(folder, device_map):
    plain = load(config(folder), folder)
    mapped = load(config(folder, device="auto", device_map=device_map), folder)
    assert mapped.weight_digest == plain.weight_digest
    ids = torch.arange(10)[None]
    with torch.no_grad():
        mapped_logits = mapped.model(input_ids=ids.to(mapped.device)).logits.cpu()
        torch.testing.assert_close(mapped_logits, plain.model(input_ids=ids).logits, atol=1e-4, rtol=1e-3)


def test_a_model_is_kept_for_an_equal_config_and_replaced_for_another(folder):
    first = load(config(folder), folder)
    assert load(config(str(folder)), folder) is first
    second = load(config(folder, dtype=Precision.bfloat16), folder)
    assert second.model.dtype == torch.bfloat16
    assert load(config(folder), folder) is not first


def test_changing_a_config_afterwards_does_not_change_the_model(folder):
    asked = config(folder)
    lm = load(asked, folder)
    asked.paths["mlp_output"] = "nowhere.*"
    assert lm.config.paths == {}
    with pytest.raises(LayoutError, match="matches no module"):
        load(asked, folder).layout(Site.mlp_output)


# the digest of the weights


def test_the_digest_is_the_same_in_float32_and_bfloat16(folder):
    exact = load(config(folder, dtype=Precision.float32), folder)
    rounded = load(config(folder, dtype=Precision.bfloat16), folder)
    assert exact.model.dtype != rounded.model.dtype
    assert exact.weight_digest == rounded.weight_digest


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_oss"])
def test_the_digest_changes_with_any_one_weight(name):
    lm = LanguageModel(ZOO[name].build(), byte_tokenizer(), config("x"), None)
    digests = {lm.weight_digest}
    parameters = list(lm.model.parameters())
    for parameter in parameters:
        with torch.no_grad():
            parameter.view(-1)[-1] += 1
        digests.add(as_new(lm).weight_digest)
    assert len(digests) == len(parameters) + 1


def test_the_digest_depends_on_where_weights_are(tiny_model):
    before = tiny_model.weight_digest
    first, second = (tiny_model.model.model.layers[i].mlp.up_proj for i in (0, 1))
    first.weight.data, second.weight.data = second.weight.data, first.weight.data
    assert as_new(tiny_model).weight_digest != before


# what cannot be loaded


def test_an_unreachable_hub_is_an_error_with_the_name_and_the_way_out(tmp_path):
    name = "meta-llama/Llama-3.1-8B-Instruct"
    with pytest.raises(ModelError) as error:
        load(config(name), tmp_path)
    assert str(error.value).startswith(f"cannot load {name}: ")
    assert str(error.value).endswith(f"model.name=/path/to/a/local/copy of {name}")


def test_a_revision_that_is_not_there_is_an_error_with_the_name(tmp_path):
    with pytest.raises(ModelError, match="cannot load openai-community/gpt2: "):
        load(config("openai-community/gpt2", revision="no-such-branch"), tmp_path)


@pytest.mark.parametrize("name", ["./missing", "/missing/model", "~/missing-model", "../missing", "a/b/c"])
def test_a_missing_folder_is_an_error(name, tmp_path):
    with pytest.raises(ModelError, match=f"model.name is '{name}', but there is no such folder"):
        load(config(name), tmp_path)


def test_a_missing_checkpoint_is_an_error_that_names_what_makes_one(tmp_path):
    with pytest.raises(ModelError, match=r"train\.py experiment=decisive/classifiers"):
        load(config("outputs/classifiers/smollm2/tweets-0/checkpoint"), tmp_path)


def remove_config(folder):
    (folder / "config.json").unlink()


def remove_weights(folder):
    (folder / "model.safetensors").unlink()


def truncate_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


def git_lfs_pointer(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")


def break_config(folder):
    (folder / "config.json").write_text("{")


def other_shape(folder):
    set_weight(folder, lambda weights: weights.update({"model.norm.weight": torch.ones(7)}))


@pytest.mark.parametrize(
    "damage", [remove_config, remove_weights, truncate_weights, git_lfs_pointer, break_config, other_shape]
)
def test_a_damaged_folder_is_an_error_that_names_it(folder, damage):
    damage(folder)
    with pytest.raises(ModelError) as error:
        load(config(folder), folder)
    assert str(error.value).startswith(f"cannot load {folder}: ")
    assert "hub" not in str(error.value).partition("\n")[2]


class Evil:
    """Makes a folder where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("save", [lambda what, file: file.write_bytes(pickle.dumps(what)), torch.save])
def test_a_pickle_among_the_weights_is_not_unpickled(save, name, folder, tmp_path):
    (folder / "model.safetensors").unlink()
    save(Evil(tmp_path / "ran"), folder / name)
    with pytest.raises(ModelError, match=f"cannot load {folder}: "):
        load(config(folder), tmp_path / "cache")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Evil(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_missing_weight_is_an_error_and_not_drawn_at_random(folder):
    set_weight(folder, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load(config(folder), folder)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps:7"])
def test_a_device_that_is_not_there_is_an_error_before_loading(device, tmp_path):
    with pytest.raises(ModelError, match=f"model.device is '{device}': "):
        load(config("meta-llama/Llama-3.1-8B-Instruct", device=device), tmp_path)


def test_an_unknown_device_map_is_an_error(folder):
    with pytest.raises(ModelError, match="device_map"):
        load(config(folder, device_map="nowhere"), folder)


# code that comes with a model


@pytest.fixture
def folder_with_code(folder):
    settings = json.loads((folder / "config.json").read_text())
    settings |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"},
    }
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "own.py").write_text(f"open({str(folder / 'was-run')!r}, 'w')\n")
    return folder


def test_code_that_comes_with_a_model_is_not_run_unless_asked(folder_with_code):
    assert not config(folder_with_code).trust_remote_code
    with pytest.raises(ModelError, match=r"model\.trust_remote_code=true runs the Python code"):
        load(config(folder_with_code), folder_with_code)
    assert not (folder_with_code / "was-run").exists()


def test_code_that_was_asked_for_is_announced(folder_with_code, caplog, monkeypatch, tmp_path):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    asked = config(folder_with_code, trust_remote_code=True)
    with caplog.at_level(logging.WARNING), pytest.raises(ModelError, match="its own code was run"):
        load(asked, folder_with_code)
    assert (folder_with_code / "was-run").exists()
    assert f"trust_remote_code: Python code that comes with {folder_with_code} is run" in caplog.text


# random weights


def test_random_models_are_the_same_every_time_and_leave_the_generator_alone(tmp_path):
    state = torch.get_rng_state()
    first = load(config("random:llama", random=TINY), tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    second = dataclasses.replace(first, model=random_model("llama", TINY))
    assert second.weight_digest == first.weight_digest


@pytest.mark.parametrize("device_map", ["cpu", "auto"])
def test_random_models_ignore_a_device_map(tmp_path, device_map):
    assert load(config("random:llama", random=TINY, device_map=device_map), tmp_path).device.type == "cpu"


@pytest.mark.parametrize(
    ("model_type", "arguments", "message"),
    [
        ("lama", {}, "random:lama .*Unrecognized model identifier: lama"),
        ("", {}, "cannot build random: "),
        ("t5", {}, "random:t5 .*AutoModelForCausalLM"),
        ("llama", {"hiden_size": 8}, "LlamaConfig has no argument hiden_size"),
        ("llama", {"hidden_size": "wide"}, "hidden_size"),
        ("llama", {"hidden_size": 33, "num_attention_heads": 4}, r"33\) is not a multiple"),
        ("llama", {"num_attention_heads": 0}, "random:llama"),
        ("gpt2", {"n_embd": 33, "n_head": 4}, "divisible"),
    ],
)
def test_a_random_model_that_cannot_be_is_an_error_of_a_few_lines(model_type, arguments, message, tmp_path):
    with pytest.raises(ModelError, match=message) as error:
        load(config(f"random:{model_type}", random=arguments), tmp_path)
    assert len(str(error.value)) < 500


def test_the_byte_tokenizer_has_a_token_for_every_byte_and_keeps_the_text():
    tokenizer = byte_tokenizer()
    assert len(tokenizer) == 259
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (256, 257, 258)
    assert tokenizer(TEXT).input_ids == list_of_bytes(TEXT)
    assert tokenizer.decode(tokenizer(TEXT).input_ids) == TEXT


# number formats


@pytest.mark.parametrize("dtype", [each for each in Precision if each is not Precision.auto])
def test_a_dtype_that_was_asked_for_is_used(folder, dtype):
    assert load(config(folder, dtype=dtype), folder).model.dtype == getattr(torch, dtype.value)


# conf/model


@pytest.mark.parametrize("name", sorted(path.stem for path in (REPOSITORY / "conf" / "model").glob("*.yaml")))
def test_every_yaml_composes_into_a_model_config(name):
    register()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        composed = OmegaConf.to_object(compose(f"model/{name}").model)
    assert isinstance(composed, ModelConfig)
    assert composed.trust_remote_code == (name == "chatglm3")
    assert composed.dtype is (Precision.float32 if name == "tiny" else Precision.auto)
    if name == "tiny":
        assert composed.random == TINY
    if name == "smollm2":
        assert composed.name == EMBEDDED


def test_the_embedded_model_speaks_english(embedded_model):
    ids = embedded_model.tokenizer("The capital of France is", return_tensors="pt").input_ids
    with torch.no_grad():
        best = embedded_model.model(input_ids=ids).logits[0, -1].argmax()
    assert embedded_model.tokenizer.decode(best).strip() == "Paris"
    assert embedded_model.name == "SmolLM2-135M-Instruct.Q4_1"
    assert embedded_model.layout(Site.mlp_output).describe() == "30 × 576 neurons, mlp_output"
    assert embedded_model.layout(Site.mlp_hidden).describe() == "30 × 1,536 neurons, mlp_hidden"


def test_a_layout_is_found_by_one_pass_for_each_site(tiny_model):
    passes = []
    tiny_model.model.register_forward_hook(lambda *call: passes.append(1))
    layouts = [tiny_model.layout(site) for site in (Site.mlp_output, "mlp_output", Site.mlp_hidden)]
    assert layouts[0] is layouts[1]
    assert [layout.site for layout in layouts] == [Site.mlp_output, Site.mlp_output, Site.mlp_hidden]
    assert len(passes) <= 2
