"""Data sets of the Hugging Face hub, and local folders in the same format."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fbn_exp.core.errors import DatasetError
from fbn_exp.datasets.base import Document, TextDataset, label_text
from fbn_exp.datasets.config import HubDatasetConfig, Split

if TYPE_CHECKING:
    import datasets

READ_ROWS = 1_000


class HubDataset(HubDatasetConfig, TextDataset):
    """A data set of the Hugging Face hub, or a local folder in the same format."""

    def documents(self) -> Iterator[Document]:
        """Yield one document per row of the split."""
        for hub_split in self._hub_splits():
            rows = _load(self.path, self.config, hub_split, self.revision)
            self._check_columns(rows, hub_split)
            names = getattr(rows.features[self.label_field], "names", None) if self.label_field else None
            for number, (value, label) in enumerate(_values(rows, self.field, self.label_field), 1):
                origin = f"{self.path} split {hub_split} row {number}"
                if not isinstance(value, str | None):
                    raise DatasetError(
                        f"dataset.field: {self.field!r} of {origin} is not text but {type(value).__name__}"
                    )
                if names is not None and label is not None:
                    label = names[label] if label >= 0 else None
                yield Document(value or "", origin, label_text(label, str(self.label_field), origin))

    def _check_columns(self, rows: "datasets.Dataset", hub_split: str) -> None:
        """Refuse a column that the data set lacks."""
        for setting, column in (("field", self.field), ("label_field", self.label_field)):
            if column is not None and column not in rows.column_names:
                raise DatasetError(
                    f"dataset.{setting}: {column!r} is not in {self.path} split {hub_split}; "
                    f"it has: {', '.join(rows.column_names)}"
                )

    @property
    def name(self) -> str:
        """Last part of the data set's path."""
        return Path(self.path).name

    def describe(self) -> str:
        """Name the data set, its configuration and the split."""
        config = f" ({self.config})" if self.config else ""
        return f"{self.path}{config}, split {self.split.value} ({' + '.join(self._hub_splits())})"

    def _hub_splits(self) -> list[str]:
        """Names of the data set's splits to read, without repetition."""
        if self.split is Split.all:
            return list(dict.fromkeys(self.hub_split.values()))
        return [self.hub_split[self.split.value]]


def _values(rows: "datasets.Dataset", field: str, label_field: str | None) -> Iterator[tuple[Any, Any]]:
    """Yield text and label of each row, batch by batch; the label is None without a label column."""
    columns = list(dict.fromkeys([field] if label_field is None else [field, label_field]))
    for batch in rows.select_columns(columns).iter(batch_size=READ_ROWS):
        texts = batch[field]
        yield from zip(texts, [None] * len(texts) if label_field is None else batch[label_field], strict=True)


def _load(path: str, config: str | None, split: str, revision: str | None) -> "datasets.Dataset":
    """Load one split; any failure becomes a ``DatasetError`` that says what to do."""
    import datasets
    import httpx
    from datasets.exceptions import DatasetNotFoundError, DatasetsError
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    local = "dataset.path=/path/to/a/local/copy"
    try:
        source, name = _resolved(path, config, revision)
        return datasets.load_dataset(source, name, split=split, revision=revision)
    except DatasetNotFoundError as error:
        raise DatasetError(
            f"the hub has no data set {path} that you may read ({error}): check dataset.path and "
            f"dataset.revision, log in if it is gated, or give {local}"
        ) from error
    except HFValidationError as error:
        raise DatasetError(
            f"dataset.path: {path} is neither a folder nor a name on the hub ({error})"
        ) from error
    except (ConnectionError, LocalEntryNotFoundError, httpx.HTTPError) as error:
        raise DatasetError(f"cannot reach the hub for {path} ({error}): give {local}") from error
    except FileNotFoundError as error:
        raise DatasetError(f"{path} holds no data files ({error}): give {local}") from error
    except (ValueError, DatasetsError) as error:  # an unknown split or configuration, or broken files
        raise DatasetError(
            f"cannot load {path}, split {split} ({error}): check dataset.config, dataset.hub_split, "
            f"or give {local}"
        ) from error
    except RuntimeError as error:  # data sets that come with a loading script are no longer supported
        raise DatasetError(f"cannot load {path} ({error}): give {local} in parquet or jsonl") from error


def _resolved(path: str, config: str | None, revision: str | None) -> tuple[str, str | None]:
    """Path and configuration to load; None as configuration for a local folder that does not define it."""
    import datasets

    folder = Path(path).expanduser()
    if not folder.is_dir():
        return path, config
    if config is None or config in datasets.get_dataset_config_names(str(folder), revision=revision):
        return str(folder), config
    return str(folder / config if (folder / config).is_dir() else folder), None
