"""Atomic writing of files and folders, one error for what prevents it, and digests of files."""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fbn_exp.core.errors import DiskError, FbnError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawings = Mapping[str, Callable[[], "Figure"]]
"""Functions that draw a figure, by the figure's name."""

# name of the digest in a file that holds its own
SEAL = "sha256"
# a full disk, a quota, a limit on the size of files
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# a file where a folder should be or the reverse, a link to nothing or in a circle, no permission
BLOCKED = (
    *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
)
# messages for the same from libraries in Rust and C++, which pass on no error number
FULL_WORDS = (*(f"(os error {number})" for number in FULL), "unexpected pos", "failed writing file")
REMEDY = (
    "make room, or take another disk: hydra.run.dir=FOLDER for a run, hydra.sweep.dir=FOLDER for a sweep, "
    "cache=FOLDER for the cache"
)


@contextmanager
def new_folder(folder: Path, need: int | None = None) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to ``folder`` on success, and removed after an exception.

    An existing folder of that name is replaced; it stays complete until the last step.

    Parameters
    ----------
    folder : Path
        Final path; missing parents are created.
    need : int, optional
        Bytes to be written, if known, for the message of a ``DiskError``.

    Raises
    ------
    DiskError
        If the disk is full, or something is in the way.
    """
    with disk_errors(folder, need):
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            yield partial
            _open_as_usual(partial)
            _put_in_place(partial, folder)
        finally:
            # what was there before may be no folder
            if partial.is_symlink() or partial.is_file():
                partial.unlink()
            shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    """Give a complete folder its final name; what had the name before has that of the partial folder then."""
    if not os.path.lexists(folder):
        partial.rename(folder)
    elif not _exchanged(partial, folder):
        # moved aside first: a partly removed folder must not keep the final name
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        folder.rename(old / folder.name)
        partial.rename(folder)
        shutil.rmtree(old)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step, so that a kill leaves one or the other; False where a system cannot."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None:
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(exchange(here, os.fsencode(one), here, os.fsencode(other), swap) == 0)


def _open_as_usual(folder: Path) -> None:
    """Give a folder and its files the permissions that the umask leaves to new ones.

    Temporary folders, and files that safetensors writes, are for their owner alone: others could not use a
    shared cache.
    """
    usual = folder / ".usual"
    usual.mkdir()
    mode = usual.stat().st_mode & 0o777
    usual.rmdir()
    for path in (folder, *folder.rglob("*")):
        path.chmod(mode if path.is_dir() else mode & 0o666)


@contextmanager
def new_file(path: Path, need: int | None = None) -> Iterator[Path]:
    """Yield the path of a temporary file with the same suffix, which is renamed to ``path`` on success.

    Raises
    ------
    DiskError
        If the disk is full, or something is in the way.
    """
    # the process id in the name: two processes may write the same file
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    with disk_errors(path, need):
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True) + "\n"
    encoded = text.encode("utf-8")
    with new_file(path, len(encoded)) as partial:
        partial.write_bytes(encoded)


def write_compact_json(path: Path, content: Any) -> None:
    """Write JSON of many numbers atomically, in one line."""
    encoded = (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
    with new_file(path, len(encoded)) as partial:
        partial.write_bytes(encoded)


def save_figure(figure: "Figure", path: Path, dpi: int) -> None:
    """Write a figure atomically."""
    with new_file(path) as partial:
        figure.savefig(partial, dpi=dpi)


def save_figures(figures: Drawings, folder: Path, dpi: int) -> dict[str, Path]:
    """Draw figures one after the other, write each as ``<name>.png``, and return the files by name."""
    files = {}
    for name, draw in figures.items():
        folder.mkdir(parents=True, exist_ok=True)
        files[name] = folder / f"{name}.png"
        save_figure(draw(), files[name], dpi)
    return files


def as_disk_error(
    error: BaseException, path: Path | None = None, need: int | None = None
) -> DiskError | None:
    """Translate an exception for a full disk, or for something in the way of a path, to a ``DiskError``.

    Returns None for other exceptions. A full disk is recognised whichever library wrote to it.

    Parameters
    ----------
    error : BaseException
        The exception that was raised.
    path : Path, optional
        File or folder that was being written, if known.
    need : int, optional
        Its size in bytes, if known.
    """
    if isinstance(error, OSError) and error.errno in BLOCKED:
        named = path or error.filename2 or error.filename
        return (
            None if named is None else DiskError(f"{_named(named)} cannot be used: {_obstacle(named, error)}")
        )
    if isinstance(error, OSError):
        full = error.errno in FULL
    else:
        full = not isinstance(error, FbnError) and any(words in str(error) for words in FULL_WORDS)
    if not full:
        return None
    named = getattr(error, "filename", None)
    if path is None and isinstance(named, str):
        path = Path(named)
    if path is None:
        return DiskError(f"a disk is full ({error}): {REMEDY}")
    needs = "" if need is None else f"it needs {in_words(need)}, "
    return DiskError(
        f"{path} cannot be written: {needs}its disk has {in_words(free_bytes(path.parent))} free "
        f"({getattr(error, 'strerror', None) or error}): {REMEDY}"
    )


def _named(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)


def _obstacle(path: object, error: OSError) -> str:
    """Describe what is in the way of a path: the path itself, or what stands in place of its folder."""
    reason = f"{error.strerror}: {REMEDY}"
    if not isinstance(path, str | bytes | os.PathLike):
        return reason
    place = Path(os.fsdecode(path))
    if (blocking := no_folder(place.parent)) is not None:
        return blocking
    if place.is_symlink() and not place.exists():
        return f"it is a link to {place.readlink()}, which is not there: remove it"
    if place.is_dir() and error.errno == errno.EISDIR:
        return "it is a folder, and a file is needed there: remove or rename it"
    if place.is_file() and error.errno in (errno.EEXIST, errno.ENOTDIR):
        return "it is a file, and a folder is needed there: remove or rename it"
    return reason


def no_folder(folder: Path) -> str | None:
    """Say why a folder neither is there nor can be made; None if nothing is in its way."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            return None
        if place.is_symlink():
            return f"{place} is a link to {place.readlink()}, which is no folder: name another one"
        if place.exists():
            return f"{place} is a file: name a folder"
    return None


def free_bytes(folder: Path) -> int:
    """Bytes free to this user on the disk of a folder, or of its nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def in_words(size: int) -> str:
    """Format a number of bytes with a readable unit."""
    for unit, bytes_each in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= bytes_each:
            return f"{size / bytes_each:.2f} {unit}"
    return f"{size} bytes"


@contextmanager
def disk_errors(path: Path, need: int | None = None) -> Iterator[None]:
    """Turn an exception for a full disk, or something in the way, into a ``DiskError`` about ``path``."""
    try:
        yield
    except Exception as error:
        if (full := as_disk_error(error, path, need)) is None:
            raise
        raise full from error


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a plain structure, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sealed(content: Mapping[str, Any], seal: str = SEAL) -> dict[str, Any]:
    """Copy of a plain structure with a digest over all of it, under the name ``seal``."""
    return {**content, seal: digest(content)}


def unsealed(entry: Mapping[str, Any], seal: str = SEAL) -> dict[str, Any]:
    """Content of what ``sealed`` made.

    Raises
    ------
    KeyError
        If it has no digest.
    ValueError
        If it was changed.
    """
    content = {name: value for name, value in entry.items() if name != seal}
    if entry[seal] != digest(content):
        raise ValueError("its content is not what was written")
    return content


def changed_files(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """Name the files of a folder whose ``file_digest`` is not the given one.

    Raises
    ------
    OSError
        If a file is missing.
    """
    return [name for name, known in digests.items() if file_digest(folder / name) != known]


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
