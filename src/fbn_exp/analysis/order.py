"""Number of networks by reproducibility against prediction over halves of the texts (NPAIRS)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from statsmodels.stats.multitest import multipletests
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.analysis.base import Recording, TextAnalysis
from fbn_exp.analysis.config import OrderConfig
from fbn_exp.analysis.halves import prediction_error, rotated_agreement
from fbn_exp.core.errors import MethodError
from fbn_exp.core.memmap import copied_rows
from fbn_exp.core.rows import Array, Indices
from fbn_exp.datasets.base import TextDataset
from fbn_exp.methods.base import Decomposition
from fbn_exp.methods.spatial import makes_maps_independent
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import absolute_correlation, aligned, partners
from fbn_exp.signals.base import Signals
from fbn_exp.thresholds.base import Threshold

# level of the test that a number of networks must pass to be the best
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class OrderPoint:
    """Agreement of the halves of each split at one number of networks.

    Attributes
    ----------
    n_components : int
        Number of networks K.
    correlation : array of shape (splits, K)
        |r| over neurons of each network with its partner in the other half.
    chance : array of shape (draws, splits, K)
        The same of random rotations of both halves' networks: what the subspaces agree on, whatever is done
        in them.
    overlap : array of shape (splits, K)
        IoU of the partners' masks.
    error : array of shape (2 · splits,)
        Squared error of predicted signals as a share of their variance, on texts and neurons left out.
    converged : float
        Share of the fits that converged.
    """

    n_components: int
    correlation: Array
    chance: Array
    overlap: Array
    error: Array
    converged: float

    @property
    def p_value(self) -> float:
        """One-sided p of the agreement against rotations, by the mean over splits of the median network."""
        observed = np.median(self.correlation, axis=1).mean()
        drawn = np.median(self.chance, axis=2).mean(axis=1)
        # maps are float32; with a single network a rotation turns nothing, and differs by rounding only
        as_good = int((drawn >= observed - 1e-6).sum())
        return (1 + as_good) / (1 + len(drawn))


@dataclass(frozen=True, eq=False)
class OrderFindings:
    """Reproducibility and prediction over the number of networks.

    Attributes
    ----------
    points : tuple of OrderPoint
        One per number of networks that could be fitted, in ascending order.
    refused : dict of int to str
        Numbers of networks that a half of the texts does not give, with the reason.
    n_texts : int
        Number of texts.
    texts, threshold : str
        Source of the texts, and the rule of membership, in words.
    """

    points: tuple[OrderPoint, ...]
    refused: dict[int, str]
    n_texts: int
    texts: str
    threshold: str

    @property
    def corrected(self) -> dict[int, float]:
        """P value of each number of networks against rotations, by Holm over all numbers."""
        p_values = [point.p_value for point in self.points]
        corrected = multipletests(p_values, method="holm")[1]
        return {point.n_components: float(p) for point, p in zip(self.points, corrected, strict=True)}

    @property
    def best(self) -> int:
        """Number of networks nearest to perfect reproducibility and prediction (Strother et al. 2002).

        Only numbers whose networks agree better than rotations of their subspaces do are candidates, by a
        corrected p below ``ALPHA``; 0 if there is none.
        """
        corrected = self.corrected
        candidates = [point for point in self.points if corrected[point.n_components] < ALPHA]
        distance = [
            float(np.hypot(1 - np.median(point.correlation), point.error.mean())) for point in candidates
        ]
        return candidates[int(np.argmin(distance))].n_components if candidates else 0


class NetworkOrder(OrderConfig, TextAnalysis):
    """Fit halves of the texts over a range of numbers of networks (NPAIRS: Strother et al. 2002).

    Texts are divided at random. The networks of one half are matched one to one to those of the other, which
    gives their reproducibility. Prediction is measured by bi-cross-validation (Owen & Perry 2009): networks
    fitted to one half get their time courses in the other half from one half of the neurons, and predict the
    other half of the neurons there. Without neurons left out the error would fall with every component.
    """

    dataset: TextDataset
    families = ("order",)

    @override
    def text_digests(self) -> frozenset[str]:
        # networks are fitted anew to halves of the texts, so texts of the given networks leak nothing
        return frozenset()

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> OrderFindings:
        assert recording is not None
        if recording.method.per_block:
            raise MethodError(
                "analysis=order compares networks of the whole model: set method.per_block=false"
            )
        with recording.recorded(self.texts) as signals:
            points, refused = self._points(signals, recording.method, threshold)
            n_texts = len(signals.rows.present)
        return OrderFindings(points, refused, n_texts, self.texts.source, threshold.describe())

    def _points(
        self, signals: Signals, method: Decomposition, threshold: Threshold
    ) -> tuple[tuple[OrderPoint, ...], dict[int, str]]:
        if len(signals.rows.present) < 2:
            raise MethodError("analysis=order divides the texts, there is one: take more (dataset.n_texts)")
        rng = np.random.default_rng(self.seed)
        orders = sorted(set(self.orders))
        measured: dict[int, list[_Split]] = {order: [] for order in orders}
        refused: dict[int, str] = {}
        steps = self.splits * len(orders)
        with tqdm(total=steps, desc="Halves × orders", unit=" fit", leave=False) as bar:
            for _ in range(self.splits):
                texts = rng.permutation(signals.rows.present)
                halves = _halves(signals, texts)
                seen = rng.permutation(signals.layout.n_neurons)
                for order in orders:
                    at = replace(method, n_components=order)
                    try:
                        split = _compare(at, halves, seen, signals, threshold, rng, self.draws)
                        measured[order].append(split)
                    except MethodError as error:
                        refused[order] = str(error)
                    bar.update()
        points = tuple(_point(order, splits) for order, splits in measured.items() if order not in refused)
        if not points:
            raise MethodError(f"no number of analysis.orders can be fitted: {next(iter(refused.values()))}")
        return points, refused


@dataclass(frozen=True, eq=False)
class _Half:
    """Signals of half of the texts, their mean over tokens, and their texts."""

    values: Tensor
    mean: Tensor
    texts: list[int]


@dataclass(frozen=True, eq=False)
class _Split:
    """Agreement of two halves: arrays of shape (K,), rotations (draws, K), two errors, share converged."""

    correlation: Array
    chance: Array
    overlap: Array
    errors: tuple[float, float]
    converged: float


def _halves(signals: Signals, texts: Indices) -> tuple[_Half, _Half]:
    halves = []
    for part in np.array_split(texts, 2):
        own = sorted(part.tolist())
        values = copied_rows(signals.values, torch.from_numpy(signals.rows.of_texts(own)))
        halves.append(_Half(values, values.mean(dim=0), own))
    return halves[0], halves[1]


def _compare(
    method: Decomposition,
    halves: tuple[_Half, _Half],
    neurons: Indices,
    signals: Signals,
    threshold: Threshold,
    rng: np.random.Generator,
    draws: int,
) -> _Split:
    fits = [_fit(replace(method), half, signals) for half in halves]
    first, second = (fit.maps_ for fit in fits)
    similarity = absolute_correlation(first, second).numpy()
    partner = partners(similarity)
    # skewness fixes the sign of a map, and may be the other one in the other half
    turned = aligned(second[torch.from_numpy(partner)], first)
    masks = [FunctionalNetworks(maps, signals.layout).masks(threshold) for maps in (first, turned)]
    ended = [convergence.converged for fit in fits for convergence in fit.convergence_]
    return _Split(
        similarity[np.arange(len(first)), partner],
        rotated_agreement(first, second, draws, rng, in_units=not makes_maps_independent(method)),
        intersection_over_union(*masks).diagonal().numpy(),
        (
            prediction_error(first, halves[0].mean, halves[1].values, neurons),
            prediction_error(second, halves[1].mean, halves[0].values, neurons),
        ),
        float(np.mean(ended)) if ended else 1.0,
    )


def _fit(method: Decomposition, half: _Half, signals: Signals) -> Decomposition:
    try:
        return method.fit(half.values, signals.rows.subset(half.texts))
    except MethodError as error:
        raise MethodError(f"in one half of the texts, for analysis=order: {error}") from error


def _point(order: int, splits: list[_Split]) -> OrderPoint:
    return OrderPoint(
        order,
        np.stack([split.correlation for split in splits]),
        np.stack([split.chance for split in splits], axis=1),
        np.stack([split.overlap for split in splits]),
        np.array([error for split in splits for error in split.errors]),
        float(np.mean([split.converged for split in splits])),
    )
