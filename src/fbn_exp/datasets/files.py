"""Local txt, jsonl, csv and parquet files."""

import codecs
import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from fbn_exp.core.errors import ConfigError, DatasetError
from fbn_exp.datasets.base import Document, TextDataset, label_text
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.splits import in_split

LONGEST_CELL = 2**31 - 1


def _open(path: Path, encoding: str, newline: str | None = None) -> IO[str]:
    """Open a text file, compressed or not, for reading."""
    if path.suffix.lower() == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding=encoding, newline=newline))
    return path.open(encoding=encoding, newline=newline)


def _undecodable(path: Path, encoding: str) -> str:
    """Say which byte of a file is not in ``encoding``, and where it is."""
    raw = path.read_bytes()
    if path.suffix.lower() == ".gz":
        raw = gzip.decompress(raw)
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, errors="replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return (
            f"{path} line {line}: byte {error.object[error.start]:#04x} at column {column} is not "
            f"{error.encoding}: set dataset.encoding=…"
        )
    return f"{path} is not {encoding}: set dataset.encoding=…"


@contextmanager
def _explained(path: Path, encoding: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an error that names the file."""
    try:
        yield
    except UnicodeError as error:
        raise DatasetError(_undecodable(path, encoding)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"cannot read {path}: {error}") from error


@dataclass(frozen=True)
class Columns:
    """Which fields of a record hold the text and, where one is wanted, the label."""

    text: str
    label: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the fields, each once."""
        return list(dict.fromkeys([self.text] if self.label is None else [self.text, self.label]))

    def check(self, record: dict[str, Any], origin: str) -> None:
        """Refuse a record that lacks a field."""
        for setting, field in (("field", self.text), ("label_field", self.label)):
            if field is not None and field not in record:
                raise DatasetError(
                    f"dataset.{setting}: {field!r} is not in {origin}; "
                    f"it has: {', '.join(record) or 'nothing'}"
                )

    def document(self, record: dict[str, Any], origin: str) -> Document:
        """Document of a record; a null counts as an empty text."""
        self.check(record, origin)
        value = record[self.text]
        if not isinstance(value, str | None):
            raise DatasetError(
                f"dataset.field: {self.text!r} of {origin} is not text but {type(value).__name__}"
            )
        label = None if self.label is None else label_text(record[self.label], self.label, origin)
        return Document(value or "", origin, label)


def read_txt(path: Path, columns: Columns, encoding: str) -> Iterator[Document]:
    """Yield the whole file as one document."""
    if columns.label is not None:
        raise DatasetError(
            f"dataset.label_field: {columns.label!r} is not in {path}; plain text has no fields"
        )
    with _explained(path, encoding), _open(path, encoding) as file:
        yield Document(file.read(), str(path))


def read_jsonl(path: Path, columns: Columns, encoding: str) -> Iterator[Document]:
    """Yield one document per line that is not blank."""
    with _explained(path, encoding), _open(path, encoding) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            origin = f"{path} line {number}"
            try:
                record = json.loads(line.rstrip())
            except json.JSONDecodeError as error:
                raise DatasetError(f"{origin} is not JSON: {error.msg} at column {error.colno}") from error
            if not isinstance(record, dict):
                raise DatasetError(
                    f"{origin} holds a JSON {type(record).__name__}, not an object with fields"
                )
            yield columns.document(record, origin)


def read_csv(path: Path, columns: Columns, encoding: str) -> Iterator[Document]:
    """Yield one document per row below the header."""
    csv.field_size_limit(LONGEST_CELL)  # the default refuses cells above 128 KiB
    with _explained(path, encoding), _open(path, encoding, newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            header = dict.fromkeys(reader.fieldnames or [])
            columns.check(header, f"{path} line 1")
            for number, record in enumerate(reader, 1):
                origin = f"{path} row {number} (line {reader.line_num})"
                if None in record or None in record.values():
                    raise DatasetError(f"{origin} does not have the {len(header)} columns of the header")
                yield columns.document(record, origin)
        except csv.Error as error:
            raise DatasetError(f"{path} line {reader.line_num} is not csv: {error}") from error


def read_parquet(path: Path, columns: Columns, encoding: str) -> Iterator[Document]:
    """Yield one document per row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _explained(path, encoding):
        try:
            with pq.ParquetFile(path) as file:
                columns.check(dict.fromkeys(file.schema_arrow.names), str(path))
                number = 0
                for batch in file.iter_batches(columns=columns.names):
                    for record in batch.to_pylist():
                        number += 1
                        origin = f"{path} row {number}"
                        yield columns.document(record, origin)
        except pa.ArrowException as error:
            raise DatasetError(f"{path} is not a readable parquet file: {error}") from error


READERS: dict[str, Callable[[Path, Columns, str], Iterator[Document]]] = {
    ".txt": read_txt,
    ".jsonl": read_jsonl,
    ".jsonl.gz": read_jsonl,
    ".csv": read_csv,
    ".parquet": read_parquet,
}


def _suffix(path: Path) -> str:
    """Suffix that chooses the reader."""
    for suffix in READERS:
        if path.name.lower().endswith(suffix):
            return suffix
    raise DatasetError(
        f"dataset.paths: {path} has the suffix {path.suffix or '(none)'}; accepted: {', '.join(READERS)}"
    )


def _check_file(path: Path) -> None:
    """Refuse what is missing, a folder, or of an unknown kind."""
    if path.is_dir():
        raise DatasetError(f"dataset.paths: {path} is a folder: name the files in it")
    if not path.exists():
        raise DatasetError(f"dataset.paths: there is no file {path}")
    _suffix(path)


def _reading_encoding(encoding: str) -> str:
    """Name of the codec to read with: UTF-8 also without the mark that some programs put first."""
    try:
        "".encode(encoding)
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise ConfigError(
            f"dataset.encoding: {encoding!r} is unknown; accepted: a text encoding of Python, such as utf-8, "
            "cp1252 or utf-16"
        ) from error
    return "utf-8-sig" if name == "utf-8" else name


class FilesDataset(TextDataset):
    """Local files: txt (one document each), jsonl (one per line), csv and parquet (one per row).

    Parameters
    ----------
    paths : sequence of str
        The files; suffixes ``.txt``, ``.jsonl``, ``.jsonl.gz``, ``.csv`` and ``.parquet``.
    field : str
        Column with the text, for all but txt; a null in it counts as an empty text.
    label_field : str or None
        Column with the label, if there is one: text or a number. A null or empty one counts as none.
    encoding : str
        Encoding of txt, jsonl and csv files.
    n_texts, tokens_per_text, min_tokens, split, seed
        As in :class:`TextDataset`. A text belongs to a split by its own digest.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    DatasetError
        If a file is missing or of an unknown kind.
    """

    def __init__(
        self,
        paths: Sequence[str],
        field: str = "text",
        encoding: str = "utf-8",
        n_texts: int | None = 100,
        tokens_per_text: int = 128,
        min_tokens: int = 16,
        split: Split = Split.all,
        seed: int = 0,
        label_field: str | None = None,
    ) -> None:
        super().__init__(n_texts, tokens_per_text, min_tokens, split, seed)
        self.paths = [paths] if isinstance(paths, str) else list(paths)
        self.field = field
        self.label_field = label_field
        self.encoding = encoding
        _reading_encoding(encoding)
        if not self.paths:
            raise ConfigError("dataset.paths: no file is given; accepted: one or more files")
        for path in self._files():
            _check_file(path)

    def documents(self) -> Iterator[Document]:
        """Yield the documents of the split, file by file."""
        encoding = _reading_encoding(self.encoding)
        columns = Columns(self.field, self.label_field)
        for path in self._files():
            for document in READERS[_suffix(path)](path, columns, encoding):
                if in_split(document.text, self.split):
                    yield document

    @property
    def name(self) -> str:
        """``files``, whatever they are."""
        return "files"

    def describe(self) -> str:
        """Name the files and the split."""
        first, *others = self.paths
        more = f" and {len(others)} more" if others else ""
        return f"{first}{more}, split {self.split.value}"

    def _files(self) -> list[Path]:
        """Paths with the home folder written out."""
        return [Path(path).expanduser() for path in self.paths]
