import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fbn_exp.core.errors import ConfigError, DatasetError
from fbn_exp.datasets.config import Split
from fbn_exp.datasets.hub import HubDataset

CONF = Path(__file__).parents[2] / "conf" / "dataset"


def sentences(name, n):
    return [f"{name} sentence number {index} says enough" for index in range(n)]


def columns_like(name, split, n):
    texts = sentences(split, n)
    return {
        "agnews": {"text": texts, "label": [index % 4 for index in range(n)]},
        "wikitext2": {"text": ["", *texts[1:]]},
        "mathqa": {
            "Problem": texts,
            "Rationale": texts,
            "options": texts,
            "correct": ["a"] * n,
            "annotated_formula": texts,
            "linear_formula": texts,
            "category": ["gain"] * n,
        },
    }[name]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep what the tests load out of the user's cache."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def local_copy(tmp_path):
    """Write a folder that looks like one of the data sets, and give the settings of its yaml."""

    def write(name, splits=("train", "validation", "test"), n=20, folder=""):
        target = tmp_path / name / folder
        target.mkdir(parents=True)
        for split in splits:
            pq.write_table(pa.table(columns_like(name, split, n)), target / f"{split}.parquet")
        settings = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
        keys = ("field", "label_field", "hub_split", "config")
        wanted = {key: settings[key] for key in keys if key in settings}
        return {**wanted, "path": str(tmp_path / name)}

    return write


@pytest.mark.parametrize("name", ["agnews", "wikitext2", "mathqa"])
@pytest.mark.parametrize(("split", "own"), [(Split.train, "train"), (Split.test, "test")])
def test_a_local_copy_is_read_with_the_settings_of_the_yaml(name, split, own, local_copy, tokenizer):
    source = HubDataset(**local_copy(name), split=split, n_texts=10, tokens_per_text=60)
    texts = source.sample(tokenizer)
    assert len(texts) == 10
    assert all(document.text.startswith(own) for document in texts.documents)


def test_dev_is_a_slice_of_train_where_a_data_set_has_none(local_copy):
    settings = local_copy("agnews", splits=("train", "test"), n=100)
    train, dev = (
        {each.text for each in HubDataset(**settings, split=s).documents()} for s in (Split.train, Split.dev)
    )
    assert (len(train), len(dev), len(train & dev)) == (95, 5, 0)


def test_all_is_every_split_once(local_copy):
    documents = list(HubDataset(**local_copy("mathqa"), split=Split.all).documents())
    assert len({document.text for document in documents}) == len(documents) == 60


def test_a_configuration_may_be_a_subfolder_of_a_local_copy(local_copy):
    settings = local_copy("wikitext2", folder="wikitext-2-raw-v1")
    assert len(list(HubDataset(**settings).documents())) == 20


def test_jsonl_files_make_a_local_copy_too(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "one"}\n{"text": null}\n', encoding="utf-8")
    documents = list(HubDataset(str(tmp_path), {"train": "train"}).documents())
    assert [document.text for document in documents] == ["one", ""]
    assert documents[0].origin == f"{tmp_path} split train row 1"


def test_a_wrong_field_is_named_with_the_columns(local_copy):
    source = HubDataset(**{**local_copy("agnews"), "field": "body"})
    with pytest.raises(DatasetError, match=r"dataset\.field: 'body' is not in .*; it has: text, label"):
        list(source.documents())


def test_a_wrong_label_field_is_named_with_the_columns(local_copy):
    source = HubDataset(**{**local_copy("agnews"), "label_field": "kind"})
    with pytest.raises(DatasetError, match=r"dataset\.label_field: 'kind' is not in .*; it has: text, label"):
        list(source.documents())


def test_plain_numbers_become_labels(local_copy):
    documents = list(HubDataset(**local_copy("agnews")).documents())
    assert [document.label for document in documents[:5]] == ["0", "1", "2", "3", "0"]


def test_the_numbers_of_classes_become_their_names(tmp_path):
    import datasets

    names = datasets.ClassLabel(names=["World", "Sports"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    rows = {"text": ["a", "b", "c", "d"], "label": [1, 0, None, -1]}
    datasets.Dataset.from_dict(rows, features).to_parquet(tmp_path / "train.parquet")
    documents = HubDataset(str(tmp_path), {"train": "train"}, label_field="label").documents()
    assert [(document.text, document.label) for document in documents] == [
        ("a", "Sports"),
        ("b", "World"),
        ("c", None),
        ("d", None),
    ]


def test_without_a_label_field_there_is_no_label(local_copy):
    source = HubDataset(**{**local_copy("agnews"), "label_field": None})
    assert {document.label for document in source.documents()} == {None}


def test_a_column_that_is_not_text_is_refused_with_its_row(local_copy):
    source = HubDataset(**{**local_copy("agnews"), "field": "label"})
    with pytest.raises(DatasetError, match=r"'label' of .* row 1 is not text but int"):
        list(source.documents())


def test_a_split_that_the_data_set_lacks_is_named_with_those_it_has(local_copy):
    source = HubDataset(**local_copy("mathqa", splits=("train", "test")), split=Split.dev)
    with pytest.raises(DatasetError, match=r"split validation .*train.*test.*dataset\.hub_split"):
        list(source.documents())


def test_a_split_that_hub_split_lacks_is_refused_at_once():
    with pytest.raises(
        ConfigError, match=r"dataset\.hub_split has no 'dev' for a/b; accepted: train, test, all"
    ):
        HubDataset("a/b", {"train": "train", "test": "test"}, split=Split.dev)


@pytest.mark.parametrize("hub_split", [{}, {"validation": "validation"}])
def test_hub_split_maps_only_the_known_parts(hub_split):
    with pytest.raises(ConfigError, match=r"dataset\.hub_split: .* accepted: train, dev, test"):
        HubDataset("a/b", hub_split)


def test_a_missing_folder_is_named():
    with pytest.raises(DatasetError, match=r"dataset\.path: there is no folder \./absent"):
        list(HubDataset("./absent", {"train": "train"}).documents())


def test_a_folder_without_data_is_named(tmp_path):
    with pytest.raises(DatasetError, match="holds no data files"):
        list(HubDataset(str(tmp_path), {"train": "train"}).documents())


def test_a_broken_file_is_one_error(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 this is not parquet PAR1")
    with pytest.raises(DatasetError, match="cannot load"):
        list(HubDataset(str(tmp_path), {"train": "train"}).documents())


def test_a_loading_script_is_refused_with_a_way_out(tmp_path):
    (tmp_path / f"{tmp_path.name}.py").write_text("", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"scripts are no longer supported.*dataset\.path="):
        list(HubDataset(str(tmp_path), {"train": "train"}).documents())


def test_an_unreachable_hub_is_one_error_that_asks_for_a_local_copy(tmp_path):
    code = (
        "from fbn_exp.datasets.hub import HubDataset\n"
        "from fbn_exp.core.errors import DatasetError\n"
        "try: list(HubDataset('nobody/nothing', {'train': 'train'}).documents())\n"
        "except DatasetError as error: print(error)"
    )
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True
    )
    assert "cannot reach the hub for nobody/nothing" in done.stdout
    assert "dataset.path=/path/to/a/local/copy" in done.stdout
