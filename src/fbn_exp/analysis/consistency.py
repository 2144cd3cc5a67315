"""Consistency: recurrence of group networks in other texts, with chance levels and test-retest numbers."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from fbn_exp.analysis.base import Recording, TextAnalysis
from fbn_exp.analysis.config import ConsistencyConfig
from fbn_exp.analysis.recurrence.comparison import NullComparison, compare
from fbn_exp.analysis.recurrence.matches import (
    Individual,
    Matches,
    Templates,
    individual_networks,
    matches,
    shifted_networks,
    with_total,
)
from fbn_exp.analysis.recurrence.nulls import degree_null, mask_null, rotation_null
from fbn_exp.analysis.retest import Retest, retest
from fbn_exp.core.errors import BenchmarkError, SignalError
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import TextDataset
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.base import Threshold


@dataclass(frozen=True, eq=False)
class Findings:
    """Results of the analysis; see ``fbn_exp.analysis.recurrence`` and ``fbn_exp.analysis.retest``.

    Attributes
    ----------
    matches, shifted : Matches
        Matches of the individual networks, and of networks of shifted signals.
    nulls : dict of str to dict of str to NullComparison
        By measure of ``Matches.measures``, then by null: ``masks``, ``shift``, ``rotations``, ``degrees``.
        Masks at random and of equal degrees have no maps to correlate.
    halves : Retest or None
        Test-retest numbers; None if texts are too few or too short.
    sizes : array of shape (K,)
        Number of neurons of each template.
    individual_size : float
        Median number of neurons of an individual network.
    n_components : int
        Number of individual networks of a text.
    converged : float or None
        Share of texts whose fit converged; None for a method without iterations.
    tokens : float
        Median number of tokens of a text.
    minimum_iou : float
        Threshold that the IoU of a match exceeds.
    templates, texts : str
        Source of the templates and of the individual networks.
    asked : int or None
        Number of texts asked for; None for all.
    """

    matches: Matches
    shifted: Matches
    nulls: dict[str, dict[str, NullComparison]]
    halves: Retest | None
    sizes: NDArray[np.int64]
    individual_size: float
    n_components: int
    converged: float | None
    tokens: float
    minimum_iou: float
    templates: str
    texts: str
    asked: int | None

    @property
    def totals(self) -> Array:
        """Count of each template, and of all together, shape (K + 1,)."""
        return with_total(self.matches.count.sum(axis=0))

    @property
    def individual(self) -> int:
        """Number of individual networks over all texts."""
        return len(self.matches.count) * self.n_components

    @property
    def chance(self) -> Array:
        """Expected count of each template and of all, the largest of all nulls, shape (K + 1,)."""
        return np.max([null.expected for null in self.nulls["count"].values()], axis=0)

    @property
    def p_value(self) -> Array:
        """P value of each template's count and of their sum, the largest of all nulls, shape (K + 1,)."""
        return np.max([null.p_value for null in self.nulls["count"].values()], axis=0)

    @property
    def tokens_per_square(self) -> float:
        """Tokens of a text for each entry of the unmixing matrix, T / K²."""
        return self.tokens / self.n_components**2


# draws of tests that are cheap to compute
CHEAP_DRAWS = 10_000


class Consistency(ConsistencyConfig, TextAnalysis):
    """Search for networks of a group of texts among the networks of other single texts, as in the paper."""

    dataset: TextDataset
    families = ("consistency", "network")

    @override
    def prepare(self, lm: LanguageModel) -> None:
        super().prepare(lm)
        if len(self.texts) < 2:
            raise BenchmarkError(
                f"{self.dataset.describe()} has {len(self.texts)} usable text, consistency needs at least 2: "
                "take another corpus or split (dataset@analysis.dataset, analysis.dataset.split)"
            )

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> Findings:
        assert recording is not None
        if networks.blocks is not None:
            raise BenchmarkError(
                "the networks were sought in each block by itself: consistency decomposes single texts over "
                "the whole model; take networks of method.per_block=false"
            )
        templates = Templates(networks, threshold, self.minimum_iou, self.align_signs)
        with recording.recorded(self.texts) as signals:
            method = replace(recording.method, n_components=self.n_components)
            individual = individual_networks(signals.values, signals.rows, method)
            generator = torch.Generator().manual_seed(self.seed)
            shifted = shifted_networks(signals.values, signals.rows, method, generator)
            rng = np.random.default_rng(self.seed)
            try:
                halves = retest(signals.values, signals.rows, networks.maps, templates.masks, rng)
            except SignalError:
                halves = None  # the report says so
        return self._findings(templates, individual, shifted, halves)

    def _findings(
        self,
        templates: Templates,
        individual: list[Individual],
        shifted: list[Individual],
        halves: Retest | None,
    ) -> Findings:
        rng = np.random.default_rng(self.seed)
        drawn = {
            "masks": mask_null(templates, individual, self.null_draws, rng),
            "rotations": rotation_null(templates, individual, self.rotations, rng),
            "degrees": degree_null(templates, individual, self.null_draws, rng),
        }
        found, null = matches(templates, individual), matches(templates, shifted)
        ended = [text.converged for text in individual if text.converged is not None]
        return Findings(
            found,
            null,
            compare(found, drawn, {"shift": null}, CHEAP_DRAWS, rng),
            halves,
            sizes=templates.masks.sum(dim=1).numpy(),
            individual_size=float(
                np.median(np.concatenate([_sizes(templates, text) for text in individual]))
            ),
            n_components=self.n_components,
            converged=float(np.mean(ended)) if ended else None,
            tokens=float(np.median([len(text.courses) for text in individual])),
            minimum_iou=self.minimum_iou,
            templates=str(templates.networks.provenance.get("texts", "unknown texts")),
            texts=self.dataset.describe(),
            asked=self.dataset.n_texts,
        )


def _sizes(templates: Templates, text: Individual) -> NDArray[np.int64]:
    """Number of members of each network of a text, by its own sign."""
    sizes: NDArray[np.int64] = templates.members_of(text)[: len(text.maps)].sum(dim=1).numpy()
    return sizes
