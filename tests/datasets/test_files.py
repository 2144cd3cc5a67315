import gzip
import io
import itertools
import json
import random
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.core.errors import ConfigError, DatasetError
from fbn_exp.datasets.config import FILE_SUFFIXES, Split
from fbn_exp.datasets.files import READERS, FilesDataset

TEXTS = ["first text,\nover two lines", 'second "text"', "third: Zürich"]


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def write_parquet(folder, columns, name="my.parquet"):
    path = folder / name
    pq.write_table(pa.table(columns), path)
    return str(path)


def read(*paths, **settings):
    return [document.text for document in FilesDataset(list(paths), **settings).documents()]


def raises(message):
    return pytest.raises(DatasetError, match=re.escape(message))


JSONL = (
    '{"text": "first text,\\nover two lines", "label": 1}\n'
    '\n{"text": "second \\"text\\""}\n{"label": 0, "text": "third: Zürich"}'
)
CSV = 'text,label\n"first text,\nover two lines",1\n"second ""text""",0\nthird: Zürich,1\n'


def test_jsonl_has_one_document_per_line(tmp_path):
    assert read(write(tmp_path, "my.jsonl", JSONL)) == TEXTS


def test_jsonl_may_be_compressed(tmp_path):
    assert read(write(tmp_path, "my.jsonl.gz", gzip.compress(JSONL.encode()))) == TEXTS


def test_csv_has_one_document_per_row(tmp_path):
    assert read(write(tmp_path, "my.csv", CSV)) == TEXTS


def test_parquet_has_one_document_per_row(tmp_path):
    assert read(write_parquet(tmp_path, {"label": [1, 0, 1], "text": TEXTS})) == TEXTS


def test_a_paragraph_of_txt_is_a_document(tmp_path):
    content = "\n\n \n".join(TEXTS) + "\n"
    path = write(tmp_path, "my.TXT", content)
    assert read(path) == TEXTS
    assert read(path, split_on="line") == [line for text in TEXTS for line in text.split("\n")]
    assert read(path, split_on="file") == [content]
    origins = [document.origin for document in FilesDataset([path]).documents()]
    assert origins == [f"{path} line {line}" for line in (1, 5, 8)]


@pytest.mark.parametrize("split_on", ["paragraph", "line"])
def test_txt_without_anything_but_space_has_no_document(tmp_path, split_on):
    assert read(write(tmp_path, "my.txt", "\n \n\t\n"), split_on=split_on) == []


def test_files_of_several_kinds_follow_one_another(tmp_path):
    paths = [
        write(tmp_path, "my.csv", CSV),
        write(tmp_path, "a.txt", "alone"),
        write(tmp_path, "my.jsonl", JSONL),
    ]
    assert read(*paths) == [*TEXTS, "alone", *TEXTS]


def test_a_cell_may_be_as_long_as_a_book(tmp_path):
    assert len(read(write(tmp_path, "my.csv", f"text\n{'word ' * 100_000}\n"))[0]) == 500_000


def test_another_field_and_encoding(tmp_path):
    path = write(tmp_path, "my.csv", "id,body\n1,Zürich\n".encode("cp1252"))
    assert read(path, field="body", encoding="cp1252") == ["Zürich"]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    assert read(write(tmp_path, "my.csv", "text\nhello\n".encode("utf-8-sig"))) == ["hello"]
    assert read(write(tmp_path, "my.jsonl", '{"text": "hello"}'.encode("utf-8-sig"))) == ["hello"]


def labelled(*paths, **settings):
    documents = FilesDataset(list(paths), label_field="label", **settings).documents()
    return [(document.text, document.label) for document in documents]


def test_labels_are_strings_whatever_the_file_holds(tmp_path):
    rows = [("a", 1), ("b", "one"), ("c", None), ("d", ""), ("e", 0)]
    expected = [("a", "1"), ("b", "one"), ("c", None), ("d", None), ("e", "0")]
    jsonl = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    assert labelled(write(tmp_path, "my.jsonl", jsonl)) == expected
    csv = "label,text\n1,a\none,b\n,c\n,d\n0,e\n"
    assert labelled(write(tmp_path, "my.csv", csv)) == expected
    parquet = write_parquet(tmp_path, {"text": ["a", "b"], "label": [3, None]})
    assert labelled(parquet) == [("a", "3"), ("b", None)]


def test_without_a_label_field_there_is_no_label(tmp_path):
    documents = FilesDataset([write(tmp_path, "my.csv", CSV)]).documents()
    assert {document.label for document in documents} == {None}


def test_a_column_may_be_text_and_label_at_once(tmp_path):
    path = write_parquet(tmp_path, {"text": ["a", "b"], "label": [3, 4]})
    documents = FilesDataset([path], label_field="text").documents()
    assert [document.label for document in documents] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("my.jsonl", '{"text": "a", "kind": 1}'), ("my.csv", "text,kind\na,1\n")],
)
def test_a_wrong_label_field_is_named_with_the_fields_there_are(tmp_path, name, content):
    path = write(tmp_path, name, content)
    with raises(f"dataset.label_field: 'label' is not in {path} line 1; it has: text, kind"):
        labelled(path)


def test_a_wrong_label_field_of_parquet_or_of_plain_text_is_named(tmp_path):
    parquet = write_parquet(tmp_path, {"text": ["a"], "kind": [1]})
    with raises(f"dataset.label_field: 'label' is not in {parquet}; it has: text, kind"):
        labelled(parquet)
    path = write(tmp_path, "my.txt", "a")
    with raises(f"dataset.label_field: 'label' is not in {path}; plain text has no fields"):
        labelled(path)


def test_a_label_that_is_no_single_value_is_named_with_its_place(tmp_path):
    path = write(tmp_path, "my.jsonl", '{"text": "a", "label": ["x", "y"]}\n')
    with raises(f"dataset.label_field: 'label' of {path} line 1 is neither text nor a number but list"):
        labelled(path)


def test_a_null_counts_as_an_empty_text(tmp_path):
    path = write(tmp_path, "my.jsonl", '{"text": null}\n{"text": "a text with enough tokens"}\n')
    assert read(path) == ["", "a text with enough tokens"]


def test_splits_share_the_documents_out(tmp_path):
    path = write(tmp_path, "my.jsonl", "".join(f'{{"text": "text {index}"}}\n' for index in range(100)))
    parts = [read(path, split=split) for split in (Split.train, Split.dev, Split.test)]
    assert all(parts)
    assert sorted(itertools.chain(*parts)) == sorted(read(path))


def test_a_sample_keeps_the_origin(tmp_path, tokenizer):
    path = write(tmp_path, "my.csv", CSV)
    texts = FilesDataset([path], n_texts=3, min_tokens=5).sample(tokenizer)
    assert {document.origin for document in texts.documents} == {
        f"{path} row {row} (line {line})" for row, line in [(1, 3), (2, 4), (3, 5)]
    }


def test_a_large_file_is_read_as_a_stream(tmp_path):
    path = write(tmp_path, "my.jsonl", '{"text": "fine"}\n' * 10 + "broken\n")
    assert next(FilesDataset([path]).documents()).text == "fine"


@pytest.mark.parametrize(
    ("name", "content"),
    [("my.jsonl", '{"text": "a", "label": 1}'), ("my.csv", "text,label\na,1\n")],
)
def test_a_wrong_field_is_named_with_those_there_are(tmp_path, name, content):
    path = write(tmp_path, name, content)
    with raises(f"dataset.field: 'body' is not in {path} line 1; it has: text, label"):
        read(path, field="body")


def test_a_wrong_field_of_parquet_is_named_with_the_columns(tmp_path):
    path = write_parquet(tmp_path, {"text": ["a"], "label": [1]})
    with raises(f"dataset.field: 'body' is not in {path}; it has: text, label"):
        read(path, field="body")


def test_a_value_that_is_not_text_is_named_with_its_place(tmp_path):
    path = write(tmp_path, "my.jsonl", '{"text": "a"}\n{"text": 3}\n')
    with raises(f"dataset.field: 'text' of {path} line 2 is not text but int"):
        read(path)
    parquet = write_parquet(tmp_path, {"text": [b"a"]})
    with raises(f"dataset.field: 'text' of {parquet} row 1 is not text but bytes"):
        read(parquet)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my.jsonl", '{"text": "a"}\n{"text": \n', "line 2 is not JSON: Expecting value at column 9"),
        ("my.jsonl", '{"text": "a\n', "line 1 is not JSON: Unterminated string starting at column 10"),
        ("my.jsonl", '["a"]\n', "line 1 holds a JSON list"),
        ("my.csv", 'text,label\n"a,1\n', "is not csv"),
        ("my.csv", "text,label\na,1\nb\n", "row 2 (line 3) does not have the 2 columns"),
        ("my.csv", "text,label\na,1,2\n", "row 1 (line 2) does not have the 2 columns"),
        ("my.csv", "", "line 1; it has: nothing"),
        ("my.parquet", b"not parquet", "is not a readable parquet file"),
        ("my.jsonl.gz", b"not gzip", "cannot read"),
        ("my.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99, mtime=0)[:-9], "cannot read"),
        (
            "my.txt",
            b"one\ntwo\n\xc3\xbcab\xff",
            "line 3: byte 0xff at column 4 is not utf-8: set dataset.encoding=…",
        ),
        ("my.csv", b"text\nab\xe9\n", "line 2: byte 0xe9 at column 3 is not utf-8"),
        (
            "my.jsonl.gz",
            gzip.compress(b'{"text": "\x80"}', mtime=0),
            "line 1: byte 0x80 at column 11 is not utf-8",
        ),
    ],
)
def test_a_broken_file_is_named_with_the_place(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    with pytest.raises(DatasetError, match=re.escape(message)) as caught:
        read(path)
    assert path in str(caught.value)


def test_a_text_in_utf_16_without_its_mark_is_an_error(tmp_path):
    path = write(tmp_path, "my.txt", "text".encode("utf-16-be"))
    with raises(f"{path} is not utf-16: set dataset.encoding=…"):
        read(path, encoding="utf-16")


def test_a_wrong_path_is_refused_at_once(tmp_path):
    with raises(f"dataset.paths: there is no file {tmp_path}/absent.txt"):
        FilesDataset([f"{tmp_path}/absent.txt"])
    with raises(f"dataset.paths: {tmp_path} is a folder"):
        FilesDataset([str(tmp_path)])
    path = write(tmp_path, "my.docx", "a")
    with raises(
        f"dataset.paths: {path} has the suffix .docx; accepted: .txt, .jsonl, .jsonl.gz, .csv, .parquet"
    ):
        FilesDataset([path])


@pytest.mark.parametrize("encoding", ["utf-9", "base64"])
def test_an_unknown_encoding_is_refused_at_once(encoding):
    with pytest.raises(ConfigError, match=rf"dataset\.encoding: '{encoding}' is unknown"):
        FilesDataset(["a.txt"], encoding=encoding)


def test_no_file_is_refused_at_once():
    with pytest.raises(ConfigError, match=r"dataset\.paths: no file"):
        FilesDataset([])


def test_every_suffix_that_the_settings_accept_has_a_reader():
    assert tuple(READERS) == FILE_SUFFIXES


def test_one_path_may_be_given_by_itself(tmp_path):
    path = write(tmp_path, "my.txt", "text")
    assert FilesDataset(path).paths == [path]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a \\ud800", "label": 1}', "character 3 of the text is \\ud800, half of a surrogate"),
        (
            '{"text": "a", "label": "\\udfff"}',
            "character 1 of the label is \\udfff, half of a surrogate",
        ),
        ("[" * 100_000 + "]" * 100_000, "is nested too deeply"),
        ('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deeply"),
        ('{"text": "a", "label": ' + "1" * 5_000 + "}", "holds a number that is too long (Exceeds the limit"),
        ('{"text": "a", "label": ' + "1" * 5_000 + "}", "5000 digits): write it as a string, in quotes"),
    ],
)
def test_json_that_python_or_a_tokenizer_cannot_take_is_named_with_the_place(tmp_path, line, message):
    path = write(tmp_path, "my.jsonl", f'{{"text": "a", "label": 0}}\n{line}\n')
    with raises(f"{path} line 2") as caught:
        labelled(path)
    assert message in str(caught.value)
    assert "sys." not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [("my.txt", b"a +2AA-", ""), ("my.csv", b"text\na +2AA-\n", " row 1 (line 2)")],
)
def test_half_a_surrogate_pair_is_refused_in_every_format(tmp_path, name, content, place):
    path = write(tmp_path, name, content)
    with raises(f"{path}{place}: character 3 of the text is \\ud800"):
        read(path, encoding="utf-7")


def test_a_parquet_text_that_is_not_utf_8_is_named_with_file_and_column(tmp_path):
    raw = pa.array([b"a", b"\xed\xa0\x80"])
    texts = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    path = write_parquet(tmp_path, {"text": texts})
    with raises(f"{path} is not a readable parquet file: ") as caught:
        read(path)
    assert "encoding" not in str(caught.value)


def test_a_compressed_file_that_is_cut_behind_a_wrong_byte_is_named(tmp_path):
    content = gzip.compress(b'{"text": "\x80"}\n' + random.Random(0).randbytes(100_000), mtime=0)
    path = write(tmp_path, "my.jsonl.gz", content[:-40_000])
    with raises(path):
        read(path)


def mostly_valid(name):
    """Bytes of a file that could be read, some of them overwritten, left out or added."""
    valid = {
        ".txt": [b"a text"],
        ".jsonl": [JSONL.encode(), b'{"text": "\\ud83d\\ude00", "label": 1e999}\n[[1]]'],
        ".jsonl.gz": [gzip.compress(JSONL.encode(), mtime=0)],
        ".csv": [CSV.encode(), b'label,text\n1,"a""b"\n'],
        ".parquet": [parquet_bytes(compression) for compression in ("none", "snappy")],
    }
    edit = st.tuples(st.integers(0, 3_000), st.integers(0, 4), st.binary(max_size=4))
    return st.builds(edited, st.sampled_from(valid[name]), st.lists(edit, max_size=4))


def parquet_bytes(compression):
    file = io.BytesIO()
    pq.write_table(pa.table({"label": [1, 0, 1], "text": TEXTS}), file, compression=compression)
    return file.getvalue()


def edited(content, edits):
    for place, removed, added in edits:
        start = place % (len(content) + 1)
        content = content[:start] + added + content[start + removed :]
    return content


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("label_field", [None, "label"])
@given(data=st.data())
def test_whatever_the_bytes_there_are_documents_or_an_error_that_names_the_file(
    suffix, label_field, tmp_path_factory, data
):
    content = data.draw(st.one_of(st.binary(max_size=200), mostly_valid(suffix)))
    if suffix == ".jsonl.gz" and data.draw(st.booleans()):
        content = gzip.compress(data.draw(st.one_of(st.binary(max_size=200), mostly_valid(".jsonl"))))
    path = write(tmp_path_factory.getbasetemp(), f"fuzzed{suffix}", content)
    encoding = data.draw(st.sampled_from(["utf-8", "utf-16", "utf-7", "cp1252"]))
    dataset = FilesDataset([path], encoding=encoding, label_field=label_field, split="all")
    try:
        documents, said = list(dataset.documents()), path
    except DatasetError as error:
        documents, said = [], str(error)
    assert path in said
    for document in documents:
        document.text.encode()
        (document.label or "").encode()


@pytest.mark.parametrize("encoding", ["undefined", "a\0b"])
def test_a_codec_that_cannot_be_used_is_refused_at_once(encoding):
    with pytest.raises(ConfigError, match=r"dataset\.encoding: '"):
        FilesDataset(["a.txt"], encoding=encoding)


def test_a_warning_counts_what_the_cut_leaves_out(tmp_path, tokenizer, caplog):
    long, short = "one two three four five six seven eight nine ten " * 40, "short text"
    path = write(tmp_path, "my.txt", f"{long}\n\n{short}")
    settings = {"n_texts": None, "tokens_per_text": 20, "min_tokens": 1}
    FilesDataset([path], **settings).sample(tokenizer)
    assert "1 of 2 texts are longer than dataset.tokens_per_text=20 tokens and were cut: 98%" in caplog.text
    caplog.clear()
    FilesDataset([write(tmp_path, "short.txt", short)], **settings).sample(tokenizer)
    assert not caplog.records
