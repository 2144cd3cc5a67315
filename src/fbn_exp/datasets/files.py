"""Documents from local txt, jsonl, csv and parquet files."""

import csv
import gzip
import json
import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from typing_extensions import override

from fbn_exp.core.errors import DatasetError
from fbn_exp.datasets.base import Document, TextDataset, Texts, label_text
from fbn_exp.datasets.config import FilesDatasetConfig, Piece, suffix_of
from fbn_exp.datasets.splits import in_split
from fbn_exp.datasets.windows import windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

LONGEST_CELL = 2**31 - 1
# share of the characters of all texts that may be cut off without a warning
MOST_LEFT_OUT = 0.5


def _open(path: Path, encoding: str, newline: str | None = None) -> IO[str]:
    """Open a text file, compressed or not, for reading."""
    if path.suffix.lower() == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding=encoding, newline=newline))
    return path.open(encoding=encoding, newline=newline)


def _undecodable(path: Path, encoding: str) -> str:
    """Message that names the first byte of a file that is invalid in ``encoding``, and its position."""
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
    """Turn an exception while a file is read into a ``DatasetError`` that names the file."""
    try:
        try:
            yield
        except UnicodeError as error:
            # reads the file again, which can fail behind the part that was read
            raise DatasetError(_undecodable(path, encoding)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"cannot read {path}: {error}") from error


@dataclass(frozen=True)
class Columns:
    """Names of the fields that hold the text and, optionally, the label."""

    text: str
    label: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the fields, without repetition."""
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
        """Convert a record to a document; a null counts as an empty text."""
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
            yield columns.document(_json_object(line.rstrip(), origin), origin)


def _json_object(line: str, origin: str) -> dict[str, Any]:
    """Parse a line that must hold a JSON object."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        # some of Python's messages end in "at", for a position to follow
        problem = error.msg.removesuffix(" at")
        raise DatasetError(f"{origin} is not JSON: {problem} at column {error.colno}") from error
    except RecursionError as error:
        raise DatasetError(f"{origin} is nested too deeply to be read") from error
    except ValueError as error:
        # Python's advice is for programmers: a limit that no option here changes
        reason = str(error).partition(";")[0]
        raise DatasetError(
            f"{origin} holds a number that is too long ({reason}): write it as a string, in quotes"
        ) from error
    if not isinstance(record, dict):
        raise DatasetError(f"{origin} holds a JSON {type(record).__name__}, not an object with fields")
    return record


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
        except (pa.ArrowException, UnicodeError) as error:
            raise DatasetError(f"{path} is not a readable parquet file: {error}") from error


def divided(document: Document, piece: Piece) -> Iterator[Document]:
    """Divide plain text into its paragraphs or lines, without blank ones; the origin tells their line."""
    if piece is Piece.file:
        yield document
        return
    lines: list[str] = []
    for number, line in enumerate([*document.text.split("\n"), ""], 1):
        if line.strip():
            lines.append(line)
        if lines and (piece is Piece.line or not line.strip()):
            first = number - len(lines) + (1 if line.strip() else 0)
            yield Document("\n".join(lines), f"{document.origin} line {first}")
            lines = []


READERS: dict[str, Callable[[Path, Columns, str], Iterator[Document]]] = {
    ".txt": read_txt,
    ".jsonl": read_jsonl,
    ".jsonl.gz": read_jsonl,
    ".csv": read_csv,
    ".parquet": read_parquet,
}


class FilesDataset(FilesDatasetConfig, TextDataset):
    """Local files: txt (one document per paragraph), jsonl (per line), csv and parquet (per row)."""

    def documents(self) -> Iterator[Document]:
        """Yield the documents of the split, file by file."""
        for document in self._read():
            if in_split(document.text, self.split):
                yield document

    def _read(self) -> Iterator[Document]:
        columns = Columns(self.field, self.label_field)
        for path in self._files():
            suffix = suffix_of(path)
            for document in READERS[suffix](path, columns, self._codec()):
                if suffix == ".txt":
                    yield from divided(document, self.split_on)
                else:
                    yield document

    @override
    def _pieces(
        self, documents: Sequence[Document], tokenizer: "PreTrainedTokenizerBase"
    ) -> Iterable[Document]:
        if not self.windows:
            return documents
        return chain.from_iterable(windows(each, tokenizer, self.tokens_per_text) for each in documents)

    @override
    def sample(self, tokenizer: "PreTrainedTokenizerBase", labels: Collection[str] = ()) -> Texts:
        texts = super().sample(tokenizer, labels)
        self._tell_cut(texts, tokenizer)
        return texts

    def _tell_cut(self, texts: Texts, tokenizer: "PreTrainedTokenizerBase") -> None:
        """Log how much of the texts was left out by the cut; a warning if it is most of them."""
        cut = [each for each in texts.items if len(each.ids) == self.tokens_per_text]
        kept = [tokenizer.decode(list(each.ids), skip_special_tokens=True) for each in cut]
        whole = sum(len(each.document.text) for each in texts.items)
        lengths = [(len(each.document.text), len(text)) for each, text in zip(cut, kept, strict=True)]
        left_out = sum(max(0, of_document - of_kept) for of_document, of_kept in lengths)
        if left_out > MOST_LEFT_OUT * whole:
            logger.warning(
                "%d of %d texts are longer than dataset.tokens_per_text=%d tokens and were cut: %.0f%% of "
                "all characters are left out; dataset.windows=true takes all of them, in consecutive "
                "windows, dataset.split_on=paragraph or line divides txt files, and a larger "
                "dataset.tokens_per_text takes more",
                len(cut),
                len(texts),
                self.tokens_per_text,
                100 * left_out / whole,
            )

    @property
    def name(self) -> str:
        """The constant ``files``."""
        return "files"

    def describe(self) -> str:
        """Name the files and the split."""
        first, *others = self.paths
        more = f" and {len(others)} more" if others else ""
        return f"{first}{more}, split {self.split.value}"
