"""Keystones of a model, what their removal costs and changes, and the networks that hold them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from fbn_exp.analysis.base import Recording, TextAnalysis
from fbn_exp.analysis.config import KeystonesConfig
from fbn_exp.analysis.keystones.firing import Neuron
from fbn_exp.analysis.keystones.scan import UNTOUCHED, KeystoneScan, ScanFile
from fbn_exp.analysis.keystones.zeroing import Where, Zeroing
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import TextDataset
from fbn_exp.datasets.config import Split
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.base import Threshold

# texts of the default scan, as in conf/analysis/keystones.yaml
N_TEXTS = 8


@dataclass(frozen=True, eq=False)
class Keystone:
    """A neuron whose removal alone costs more than the threshold.

    Attributes
    ----------
    neuron : Neuron
        Its energy, and where it fires.
    nats, standard_error : float
        Nats per token that its removal costs, and their standard error over texts.
    nats_first, nats_others : float
        The same where it is 0 at first tokens alone, and at the other tokens alone.
    attention : array of shape (layers,) or None
        Mean attention weight on the first token without it.
    networks : tuple of int
        Networks that it is a member of.
    """

    neuron: Neuron
    nats: float
    standard_error: float
    nats_first: float
    nats_others: float
    attention: Array | None
    networks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class KeystoneFindings:
    """Keystones among the neurons of largest energy.

    Attributes
    ----------
    scan : KeystoneScan
        All scanned neurons.
    keystones : tuple of Keystone
        Those above the threshold, the costliest first.
    together : float
        Nats per token that the removal of all keystones at once costs; 0 without keystones.
    attention, attention_together : array of shape (layers,) or None
        Mean attention weight on the first token, untouched and without all keystones; None if the model
        returns no attention weights.
    energy_left : array of shape (keystones, keystones)
        Energy of each keystone without each other one (rows), as a share of its energy in the untouched
        model.
    members : bool array of shape (K, n)
        Membership of the scanned neurons in the networks.
    minimum_nats : float
        Threshold of a keystone.
    threshold : str
        Rule of membership, in words.
    """

    scan: KeystoneScan
    keystones: tuple[Keystone, ...]
    together: float
    attention: Array | None
    attention_together: Array | None
    energy_left: Array
    members: NDArray[np.bool_]
    minimum_nats: float
    threshold: str


class Keystones(KeystonesConfig, TextAnalysis):
    """Set the neurons of largest energy to 0, one at a time, and look for those that break the model.

    Massive activations of few neurons at first tokens hold the attention of later tokens (Sun et al. 2024);
    without them a model fails, whatever function a network that contains them is thought to have.
    """

    dataset: TextDataset
    families = ("keystones", "network")

    @override
    def prepare(self, lm: LanguageModel) -> None:
        lm.require_language_head("a scan for keystones")
        super().prepare(lm)

    @override
    def text_digests(self) -> frozenset[str]:
        # nothing is fitted, and no network is judged: texts of the networks leak nothing
        return frozenset()

    def scan_file(self, cache: Path, lm: LanguageModel, layout: NeuronLayout) -> ScanFile:
        """File of the cache with what is known of the neurons on the texts; after ``prepare``."""
        return ScanFile(cache, lm, layout, self.texts, self.batch_tokens)

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> KeystoneFindings:
        assert recording is not None
        known = self.scan_file(recording.cache, recording.lm, recording.layout)
        scan = known.scan(self.n_neurons, recording.scratch)
        columns = [neuron.column for neuron in scan.neurons]
        places = scan.keystones(self.minimum_nats)
        alone = [Zeroing((columns[place],)) for place in places]
        every = Zeroing(tuple(sorted(columns[place] for place in places)))
        first = [replace(edit, where=Where.first) for edit in alone]
        others = [replace(edit, where=Where.others) for edit in alone]
        together, *parts = scan.cost(known.losses([every, *first, *others])).tolist()
        weights = known.attention([UNTOUCHED, every, *alone])
        attention = [None] * (2 + len(alone)) if weights is None else list(weights)
        members = networks.masks(threshold)[:, columns].numpy()
        keystones = tuple(
            Keystone(
                scan.neurons[place],
                float(scan.nats[place]),
                float(scan.standard_error[place]),
                nats_first,
                nats_others,
                looked,
                tuple(np.flatnonzero(members[:, place]).tolist()),
            )
            for place, nats_first, nats_others, looked in zip(
                places, parts[: len(alone)], parts[len(alone) :], attention[2:], strict=True
            )
        )
        left = known.energy_left([columns[place] for place in places])
        about = (left, members, self.minimum_nats, threshold.describe())
        return KeystoneFindings(scan, keystones, together, attention[0], attention[1], *about)


def obtain_keystones(
    dataset: TextDataset, lm: LanguageModel, layout: NeuronLayout, cache: Path, scratch: Path
) -> Tensor:
    """Keystones by the scan that ``analysis=keystones`` makes by default, from the cache if it is there.

    Parameters
    ----------
    dataset : TextDataset
        Corpus; the scan takes ``N_TEXTS`` texts of its dev part.
    lm : LanguageModel
        The model.
    layout : NeuronLayout
        Order of the neurons.
    cache, scratch : Path
        Folder of the cache, and one for signals beyond the memory budget.

    Returns
    -------
    Tensor of shape (N,), bool
        True for keystones.
    """
    wanted = Keystones(dataset=replace(dataset, split=Split.dev, n_texts=N_TEXTS))
    wanted.prepare(lm)
    scan = wanted.scan_file(cache, lm, layout).scan(wanted.n_neurons, scratch)
    return scan.mask(wanted.minimum_nats)
