import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from fbn_exp.core.errors import DatasetError
from fbn_exp.datasets.base import Document
from fbn_exp.datasets.files import FilesDataset
from fbn_exp.datasets.windows import windows


@pytest.fixture(scope="module")
def word_tokenizer():
    """One token per byte of UTF-8, of texts that are first divided into words."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return PreTrainedTokenizerFast(tokenizer_object=core)


def divided(text, tokenizer, n):
    return list(windows(Document(text, "my.txt"), tokenizer, n))


@given(text=st.text(alphabet="ab ü\n🙂", max_size=80), n=st.integers(2, 12))
def test_windows_together_are_the_text_and_none_is_too_long(word_tokenizer, text, n):
    parts = divided(text, word_tokenizer, n)
    assert "".join(part.text for part in parts) == text
    # four bytes of one character cannot be divided
    assert max(len(part.text.encode()) for part in parts) <= n + 3
    assert len(parts) == 1 or {part.whole for part in parts} == {text}


def test_a_window_ends_between_words_and_tells_where_it_begins(word_tokenizer):
    parts = divided("one two three four", word_tokenizer, 10)
    assert [part.text for part in parts] == ["one two", " three", " four"]
    assert [part.origin for part in parts] == [f"my.txt from character {place}" for place in (1, 8, 14)]


def test_a_word_that_is_longer_than_a_window_is_cut(word_tokenizer):
    assert [part.text for part in divided("a" * 25, word_tokenizer, 10)] == ["a" * 10, "a" * 10, "a" * 5]


def test_a_short_text_stays_as_it_is(word_tokenizer):
    assert divided("one two", word_tokenizer, 10) == [Document("one two", "my.txt")]


def test_a_slow_tokenizer_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(DatasetError, match=r"dataset\.windows: true needs a fast tokenizer"):
        divided("one", Slow(), 4)


def test_a_long_file_becomes_windows_of_which_nothing_is_left_out(tmp_path, word_tokenizer, caplog):
    path = tmp_path / "book.txt"
    path.write_text(" ".join(str(number) for number in range(300)), encoding="utf-8")
    settings = {"split_on": "file", "n_texts": None, "tokens_per_text": 64, "min_tokens": 1}
    (cut,) = FilesDataset([str(path)], **settings).sample(word_tokenizer).items
    assert len(cut.ids) == 64
    assert "dataset.windows=true takes all of them" in caplog.text
    assert "dataset.split_on=paragraph or line" in caplog.text
    caplog.clear()
    texts = FilesDataset([str(path)], windows=True, **settings).sample(word_tokenizer)
    assert texts.n_tokens == path.stat().st_size
    assert len(texts.text_digests) == 1
    assert not caplog.records
