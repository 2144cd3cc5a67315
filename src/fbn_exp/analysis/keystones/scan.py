"""Scan of neurons one by one, kept on disk: what was computed once is not computed again."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fbn_exp.analysis.config import MINIMUM_NATS
from fbn_exp.analysis.keystones.attention import attention_to_first
from fbn_exp.analysis.keystones.firing import (
    FIRST,
    OTHERS,
    Energies,
    Neuron,
    energies_under,
    largest_energies,
)
from fbn_exp.analysis.keystones.zeroing import Where, Zeroing, losses
from fbn_exp.core.errors import DiskError
from fbn_exp.core.files import digest, sealed, unsealed, write_json
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.locks import held
from fbn_exp.core.package_file import version
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import Texts
from fbn_exp.models.language_model import LanguageModel

log = logging.getLogger(__name__)

UNTOUCHED = Zeroing()
# what a file holds beside energies, by edit or by neurons
PARTS = ("losses", "attention", "energy_left")


@dataclass(frozen=True, eq=False)
class KeystoneScan:
    """Loss of a model without each of its neurons of largest energy.

    Attributes
    ----------
    layout : NeuronLayout
        Order of the neurons.
    energies : Energies
        The scanned neurons, n of them, in descending order of energy.
    untouched : array of shape (texts,)
        Nats of each text in the untouched model, summed over its predicted tokens.
    without : array of shape (n, texts)
        The same without each neuron.
    predicted : array of shape (texts,)
        Number of predicted tokens of each text.
    source : str
        Source of the texts, in words.
    halves : dict of int to (float, float)
        Nats per token that a neuron costs where it is 0 at first tokens alone, and at the other tokens
        alone, by its column; for neurons of which that is known.
    """

    layout: NeuronLayout
    energies: Energies
    untouched: Array
    without: Array
    predicted: Array
    source: str
    halves: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def neurons(self) -> tuple[Neuron, ...]:
        """The scanned neurons, in descending order of energy."""
        return self.energies.neurons

    @property
    def nats(self) -> Array:
        """Nats per token that the removal of each neuron costs, shape (n,)."""
        return self.cost(self.without)

    @property
    def standard_error(self) -> Array:
        """Standard error of ``nats`` over texts, paired, shape (n,); NaN for a single text."""
        n = len(self.predicted)
        if n < 2:
            return np.full(len(self.without), np.nan)
        weights = self.predicted / self.predicted.sum()
        change = (self.without - self.untouched) / self.predicted
        residual = weights * (change - self.nats[:, None])
        return np.sqrt(n / (n - 1) * np.square(residual).sum(axis=1))

    def cost(self, losses: Array) -> Array:
        """Nats per token by which losses of shape (edits, texts) exceed the untouched model's."""
        return (losses - self.untouched).sum(axis=1) / self.predicted.sum()

    def costs_at(self, place: int) -> str:
        """Tokens at which a neuron matters: where its removal costs more, else where it fires."""
        neuron = self.neurons[place]
        if neuron.column not in self.halves:
            return neuron.fires_at
        first, others = self.halves[neuron.column]
        return FIRST if first > others else OTHERS

    def keystones(self, minimum_nats: float) -> list[int]:
        """Places of the neurons that cost more than so many nats, those that cost most first.

        A loss that is not a number counts as one: the model is broken.
        """
        nats = np.nan_to_num(self.nats, nan=np.inf)
        order = np.argsort(-nats, kind="stable")
        return [place for place in order.tolist() if nats[place] > minimum_nats]

    def mask(self, minimum_nats: float) -> Tensor:
        """Keystones as bool of shape (N,)."""
        mask = torch.zeros(self.layout.n_neurons, dtype=torch.bool)
        mask[[self.neurons[place].column for place in self.keystones(minimum_nats)]] = True
        return mask


class ScanFile:
    """Losses of a model under zeroings, on certain texts, in memory and in a file of the cache.

    Another scan on the same texts computes what is missing: a longer list of neurons extends a shorter one.

    Parameters
    ----------
    cache : Path
        Folder of the cache.
    lm : LanguageModel
        The model.
    layout : NeuronLayout
        Order of the neurons.
    texts : Texts
        The texts.
    batch_tokens : int
        Largest number of tokens in a batch; no part of the key.
    """

    def __init__(
        self, cache: Path, lm: LanguageModel, layout: NeuronLayout, texts: Texts, batch_tokens: int
    ) -> None:
        self.lm, self.layout, self.texts, self.batch_tokens = lm, layout, texts, batch_tokens
        self.file = scan_folder(cache, lm, layout) / f"{texts.digest}.json"
        self.entry = _read(self.file) or _empty(texts)

    def scan(self, count: int, scratch: Path) -> KeystoneScan:
        """Scan so many neurons of largest energy one by one."""
        if _length(self.entry["energies"]) < count:
            found = largest_energies(self.lm, self.layout, self.texts, count, self.batch_tokens, scratch)
            self.entry["energies"] = _plain_energies(found)
            self._write()
        edits = [UNTOUCHED]
        edits += [Zeroing((entry["column"],)) for entry in self.entry["energies"]["neurons"][:count]]
        self.losses(edits)
        return scan_of(self.entry, self.layout, count)

    def losses(self, edits: Sequence[Zeroing]) -> Array:
        """Losses of shape (edits, texts); what the file does not hold is computed and added to it."""
        known = self.entry["losses"]
        if missing := [edit for edit in edits if edit.name not in known]:
            log.info("%d of %d losses with neurons at 0 are computed", len(missing), len(edits))
            found = losses(self.lm, self.layout, self.texts.ids, missing, self.batch_tokens)
            known.update({edit.name: row.tolist() for edit, row in zip(missing, found, strict=True)})
            self._write()
        return np.array([known[edit.name] for edit in edits])

    def attention(self, edits: Sequence[Zeroing]) -> Array | None:
        """Attention to the first token of shape (edits, layers), as ``attention_to_first`` and ``losses``."""
        known = self.entry["attention"]
        if missing := [edit for edit in edits if edit.name not in known]:
            found = attention_to_first(self.lm, self.layout, self.texts.ids, missing)
            if found is None:
                return None
            known.update({edit.name: row.tolist() for edit, row in zip(missing, found, strict=True)})
            self._write()
        return np.array([known[edit.name] for edit in edits])

    def energy_left(self, neurons: Sequence[int]) -> Array:
        """Energy of each neuron without each other one, as a share of its own in the untouched model.

        Row i is without neuron i; shape (n, n), 0 on the diagonal.
        """
        name = "+".join(map(str, neurons))
        known = self.entry["energy_left"]
        if name not in known:
            edits = [UNTOUCHED, *(Zeroing((neuron,)) for neuron in neurons)]
            about = (self.texts.ids, neurons, edits, self.batch_tokens)
            untouched, *without = energies_under(self.lm, self.layout, *about)
            known[name] = [(row / np.maximum(untouched, 1e-300)).tolist() for row in without]
            self._write()
        return np.array(known[name]).reshape(len(neurons), len(neurons))

    def _write(self) -> None:
        """Write the entry with its digest; a full disk is logged, since the run can go on."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with held(self.file):
                # another scan may have extended it meanwhile
                other = _read(self.file) or self.entry
                for part in PARTS:
                    self.entry[part] = {**other[part], **self.entry[part]}
                self.entry["energies"] = max(other["energies"], self.entry["energies"], key=_length)
                write_json(self.file, sealed(self.entry))
        except DiskError as error:
            log.error("the scan is used, but not kept for later runs: %s", error)


def scan_folder(cache: Path, lm: LanguageModel, layout: NeuronLayout) -> Path:
    """Folder of all scans of these weights at this site."""
    key = {"weights": lm.weight_digest, "dtype": lm.dtype, "layout": layout.to_dict(), "version": version()}
    return cache / "keystones" / digest(key)


def known_scans(cache: Path, lm: LanguageModel, layout: NeuronLayout) -> list[KeystoneScan]:
    """Scans of these weights at this site that are in the cache; damaged ones are skipped with a warning."""
    entries = [_read(file) for file in sorted(scan_folder(cache, lm, layout).glob("*.json"))]
    return [
        scan_of(entry, layout, _length(entry["energies"]))
        for entry in entries
        if entry is not None and entry["energies"] is not None and UNTOUCHED.name in entry["losses"]
    ]


def known_keystones(
    cache: Path, lm: LanguageModel, layout: NeuronLayout, minimum_nats: float = MINIMUM_NATS
) -> Tensor | None:
    """Keystones by any scan in the cache, bool of shape (N,); None if these weights were never scanned."""
    scans = known_scans(cache, lm, layout)
    if not scans:
        return None
    return torch.stack([scan.mask(minimum_nats) for scan in scans]).any(dim=0)


def scan_of(entry: Mapping[str, Any], layout: NeuronLayout, count: int) -> KeystoneScan:
    """Scan of the first ``count`` neurons of an entry, as far as their losses are in it."""
    plain, known = entry["energies"], entry["losses"]
    neurons = [Neuron.from_dict(each) for each in plain["neurons"][:count]]
    scanned = tuple(each for each in neurons if Zeroing((each.column,)).name in known)
    without = [known[Zeroing((each.column,)).name] for each in scanned]
    scan = KeystoneScan(
        layout,
        Energies(scanned, plain["total"], plain["token_shares"]),
        np.array(known[UNTOUCHED.name]),
        np.array(without).reshape(len(scanned), -1),
        np.array(entry["predicted"], dtype=np.float64),
        entry["source"],
    )
    return replace(scan, halves=_halves(scan, known))


def _halves(scan: KeystoneScan, known: Mapping[str, Any]) -> dict[int, tuple[float, float]]:
    halves = {}
    for neuron in scan.neurons:
        names = [Zeroing((neuron.column,), where).name for where in (Where.first, Where.others)]
        if all(name in known for name in names):
            first, others = scan.cost(np.array([known[name] for name in names])).tolist()
            halves[neuron.column] = (first, others)
    return halves


def _length(energies: Mapping[str, Any] | None) -> int:
    return 0 if energies is None else len(energies["neurons"])


def _empty(texts: Texts) -> dict[str, Any]:
    predicted = [length - 1 for length in texts.lengths]
    parts: dict[str, Any] = {part: {} for part in PARTS}
    return {"source": texts.source, "predicted": predicted, "energies": None, **parts}


def _plain_energies(energies: Energies) -> dict[str, Any]:
    return asdict(energies) | {"neurons": [neuron.to_dict() for neuron in energies.neurons]}


def _read(file: Path) -> dict[str, Any] | None:
    """Entry of a file; None if there is none or, with a warning, if it is damaged: it is computed again."""
    if not file.exists():
        return None
    try:
        entry = unsealed(json.loads(file.read_text(encoding="utf-8")))
        if missing := {"energies", *PARTS} - set(entry):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        log.warning("%s is damaged, its neurons are scanned again: %s", file, error)
        return None
    return entry
