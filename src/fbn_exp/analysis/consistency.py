"""Consistency: recurrence of group networks in other texts, with chance levels and test-retest numbers."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from fbn_exp.analysis import recurrence
from fbn_exp.analysis.base import Recording, TextAnalysis
from fbn_exp.analysis.config import ConsistencyConfig
from fbn_exp.analysis.recurrence import Matches, NullComparison, Templates, with_total
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
    count, iou : dict of str to NullComparison
        Comparison with each null, ``masks`` and ``shift``.
    correlation : NullComparison
        Matched |r| compared with that of shifted signals; random masks have no maps to correlate.
    halves : Retest or None
        Test-retest numbers; None if texts are too few or too short.
    sizes : array of shape (K,)
        Number of neurons of each template.
    individual_size : float
        Median number of neurons of an individual network.
    n_components : int
        Number of individual networks of a text.
    minimum_iou : float
        Threshold that the IoU of a match exceeds.
    templates, texts : str
        Source of the templates and of the individual networks.
    asked : int or None
        Number of texts asked for; None for all.
    """

    matches: Matches
    shifted: Matches
    count: dict[str, NullComparison]
    iou: dict[str, NullComparison]
    correlation: NullComparison
    halves: Retest | None
    sizes: NDArray[np.int64]
    individual_size: float
    n_components: int
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
        """Expected count of each template and of all, the larger of two nulls, shape (K + 1,)."""
        return np.maximum(self.count["masks"].expected, self.count["shift"].expected)

    @property
    def p_value(self) -> Array:
        """P value of each template's count and of their sum, the larger of two nulls, shape (K + 1,)."""
        return np.maximum(self.count["masks"].p_value, self.count["shift"].p_value)


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
        templates = Templates(networks, threshold, self.minimum_iou)
        with recording.recorded(self.texts) as signals:
            rows = signals.rows.slices
            generator = torch.Generator().manual_seed(self.seed)
            draws = np.random.default_rng(self.seed)
            method = replace(recording.method, n_components=self.n_components)

            def decompose(text: Tensor) -> Tensor:
                return method.fit(text).maps_

            individual = recurrence.individual_maps(signals.values, rows, decompose)
            shifted = recurrence.shifted_maps(signals.values, rows, decompose, generator)
            try:
                halves = retest(signals.values, signals.rows, networks.maps, templates.masks, draws)
            except SignalError:
                halves = None  # the report says so
        return self._findings(networks, templates, individual, shifted, halves)

    def _findings(
        self,
        networks: FunctionalNetworks,
        templates: Templates,
        individual: list[Tensor],
        shifted: list[Tensor],
        halves: Retest | None,
    ) -> Findings:
        rng = np.random.default_rng(self.seed)
        masks = recurrence.mask_null(templates, individual, self.null_draws, rng)
        matches, null = recurrence.matches(templates, individual), recurrence.matches(templates, shifted)
        sums, means = recurrence.with_total, recurrence.with_mean
        return Findings(
            matches,
            null,
            count={
                "masks": recurrence.compared_with_draws(sums(matches.count.sum(axis=0)), sums(masks.count)),
                "shift": recurrence.compared_with_texts(
                    sums(matches.count), sums(null.count), False, CHEAP_DRAWS, rng
                ),
            },
            iou={
                "masks": recurrence.compared_with_draws(means(matches.iou.mean(axis=0)), means(masks.iou)),
                "shift": recurrence.compared_with_texts(
                    means(matches.iou), means(null.iou), True, CHEAP_DRAWS, rng
                ),
            },
            correlation=recurrence.compared_with_texts(
                means(matches.correlation), means(null.correlation), True, CHEAP_DRAWS, rng
            ),
            halves=halves,
            sizes=templates.masks.sum(dim=1).numpy(),
            individual_size=float(
                np.median([size for maps in individual for size in templates.members(maps).sum(dim=1)])
            ),
            n_components=self.n_components,
            minimum_iou=self.minimum_iou,
            templates=str(networks.provenance.get("texts", "unknown texts")),
            texts=self.dataset.describe(),
            asked=self.dataset.n_texts,
        )
