"""Icasso: networks that many runs agree on, each with a p value and its split-half reliability."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

import torch
from scipy.stats import false_discovery_control
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition, peak_signs
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.surrogates import upper_p_value
from fbn_exp.reliability.base import Reliability, ReliabilityReport
from fbn_exp.reliability.clusters import Clusters, cluster, quality
from fbn_exp.reliability.config import IcassoConfig, Resample, Surrogate
from fbn_exp.reliability.model_order import fits_at, model_order_curve
from fbn_exp.reliability.nulls import DESCRIPTIONS, fits_of, null_reproducibility
from fbn_exp.reliability.runs import AnyFits, Fits, Run, changed
from fbn_exp.reliability.split_half import aligned, split_half
from fbn_exp.thresholds.base import Threshold

# null networks by default; the smallest possible p value is one over this number plus one
NULL_NETWORKS = 100


class Icasso(IcassoConfig, Reliability):
    """Many runs of a method, clustered (Himberg, Hyvärinen & Esposito 2004)."""

    uses_threshold = True

    @property
    def resampled(self) -> tuple[bool, ...]:
        """Flag per run, true where the run draws texts."""
        if self.resample is Resample.both:
            return tuple(run % 2 == 1 for run in range(self.runs))
        return (self.resample is Resample.texts,) * self.runs

    def n_surrogates(self, n_networks: int) -> int:
        """Number of null data sets."""
        if self.surrogate is Surrogate.none:
            return 0
        return self.surrogates or math.ceil(NULL_NETWORKS / n_networks)

    @override
    def wrap(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        return Centrotypes(method, self, threshold)


class Centrotypes(Decomposition):
    """Centrotypes of the clusters that ``Icasso`` finds, in place of the networks of a single run.

    A centrotype is the estimate with the largest sum of similarities to its cluster. It keeps the time
    course over all tokens from its run, so its map is in units of the signal, as that of any network.
    Time courses of different runs may correlate: their shares of variance then do not add up. Runs that
    do not converge are kept and counted: a single fit would have reported them.

    Parameters
    ----------
    method : Decomposition
        Method to repeat; neither fitted nor changed.
    plan : Icasso
        Number and kind of the runs.
    threshold : Threshold
        Rule of membership.
    layout : NeuronLayout, optional
        Blocks of the neurons, for the threshold.

    Attributes
    ----------
    maps_, time_courses_, explained_variance_ratio_, metrics_
        As in ``Decomposition``.
    explained_variance_ : float
        Share of the signals' variance that the time courses explain together.
    report_ : ReliabilityReport
        Reliability over the runs.
    """

    explained_variance_: float
    report_: ReliabilityReport

    def __init__(
        self, method: Decomposition, plan: Icasso, threshold: Threshold, layout: NeuronLayout | None = None
    ) -> None:
        super().__init__(n_components=method.n_components, seed=method.seed)
        self.method = method
        self.plan = plan
        self.threshold = threshold
        self.layout = layout

    @override
    def over(self, layout: NeuronLayout) -> "Centrotypes":
        return Centrotypes(self.method, self.plan, self.threshold, layout)

    @override
    def resolved(self, signals: Tensor) -> Self:
        """Resolve the method that is repeated."""
        method = self.method.resolved(signals)
        if method is self.method:
            return self
        resolved = type(self)(method, self.plan, self.threshold)
        resolved.orders_ = method.orders_
        return resolved

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        n_texts = len(rows.present)
        if any(self.plan.resampled) and n_texts < 2:
            raise MethodError(
                f"reliability.resample={self.plan.resample} draws texts, there is {n_texts}: take more "
                "(dataset.n_texts), or reliability.resample=starts"
            )
        started = time.perf_counter()
        widest = fits_of(self._widest(signals), signals, rows, generator)
        fits = fits_at(self.n_components, self.method, widest)
        runs = fits.runs(self.plan.resampled, generator, "Runs")
        clusters = cluster(runs)
        components = self._components(fits, runs, clusters)
        metrics = {
            "runs": float(len(runs)),
            "runs_not_converged": float(sum(not run.converged for run in runs)),
            "seconds": time.perf_counter() - started,
        }
        self._together = fits.explained(components.time_courses)
        metrics |= unusual(clusters.labels.bincount(), len(runs))
        self.metrics_ = {name: metrics[name] for name in ("runs", "runs_not_converged")}
        statistics = self._agreement(clusters) | self._masks(fits, runs, clusters)
        null = self._null(len(clusters.iq), fits, signals, generator)
        if len(null):
            statistics |= significance(clusters.reproducibility, null)
        if n_texts > 1:
            reported = components.maps * peak_signs(components.maps)[:, None]
            halves = split_half(self.method, signals, rows, reported, self._members, generator)
            statistics |= halves.statistics()
            metrics |= halves.metrics()
        self.report_ = ReliabilityReport(
            statistics,
            {**metrics, **summary(statistics), **null_summary(null)},
            clusters.similarity,
            clusters.labels,
            null,
            DESCRIPTIONS[self.plan.surrogate],
            model_order_curve(self.plan.orders, widest, self.plan.resampled, generator),
        )
        return components

    def _widest(self, signals: Tensor) -> Decomposition:
        """Method with the largest number of components that is asked for."""
        largest = changed(self.method, n_components=max(self.n_components, *self.plan.orders, 1))
        largest._check(signals)
        return largest

    def _components(self, fits: Fits, runs: Sequence[Run], clusters: Clusters) -> Components:
        chosen = clusters.centrotypes.tolist()
        count = len(chosen)
        of_run = [runs[estimate // count] for estimate in chosen]
        return fits.components(of_run, [estimate % count for estimate in chosen])

    def _agreement(self, clusters: Clusters) -> dict[str, Tensor]:
        """Iq (also of each kind of run separately), reproducibility and size of every cluster."""
        statistics = {"iq": clusters.iq, "reproducibility": clusters.reproducibility}
        if self.plan.resample is Resample.both:
            texts = torch.tensor(self.plan.resampled).repeat_interleave(len(clusters.iq))
            for name, kind in (("iq_starts", ~texts), ("iq_texts", texts)):
                statistics[name] = quality(clusters.similarity, clusters.labels, kind)
        statistics["estimates"] = clusters.labels.bincount().double()
        return statistics

    def _masks(self, fits: Fits, runs: Sequence[Run], clusters: Clusters) -> dict[str, Tensor]:
        """Agreement of masks and of signs within each cluster, computed one cluster at a time.

        Estimates take the sign of the reported network before their masks are compared. ``sign_agreement``
        is the share of a cluster's estimates whose own peak gives that sign; a fit that found one of the
        others would have reported it with the opposite sign.
        """
        weights = torch.cat([run.weights for run in runs])
        masks, signs = [], []
        for label, centre in enumerate(clusters.centrotypes.tolist()):
            reported = fits.maps(weights[centre : centre + 1])
            reported = reported * peak_signs(reported)[:, None]
            maps = aligned(fits.maps(weights[clusters.labels == label]), reported)
            masks.append(mean_overlap(self._members(maps)))
            signs.append(float((peak_signs(maps) > 0).double().mean()))
        statistics = {"mask_agreement": masks, "sign_agreement": signs}
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in statistics.items()}

    def _members(self, maps: Tensor) -> Tensor:
        return self.threshold.masks(maps, self.layout)

    def _null(self, n_networks: int, fits: AnyFits, signals: Tensor, generator: torch.Generator) -> Tensor:
        n_surrogates = self.plan.n_surrogates(n_networks)
        if n_surrogates == 0:
            return torch.zeros(0, dtype=torch.float64)
        return null_reproducibility(
            self.plan.surrogate, n_surrogates, fits, signals, self.plan.resampled, generator
        )

    @override
    def _learn(self, found: Components) -> None:
        super()._learn(found)
        self.explained_variance_ = self._together

    @override
    def _arrange(self, order: Tensor) -> None:
        report = self.report_
        statistics = {name: values[order] for name, values in report.statistics.items()}
        self.report_ = replace(report, statistics=statistics, labels=order.argsort()[report.labels])
        self.statistics_ = statistics


def unusual(estimates: Tensor, n_runs: int) -> dict[str, float]:
    """Count the clusters that merge several networks of each run, and those that few runs contribute to.

    Estimates are clustered by their maps: two networks of a run with similar maps but different time
    courses end in one cluster, which leaves another cluster to a network that hardly any run finds.
    """
    return {
        "networks_merged": float((estimates >= 1.5 * n_runs).sum()),
        "networks_rare": float((estimates <= 0.5 * n_runs).sum()),
    }


def significance(observed: Tensor, null: Tensor) -> dict[str, Tensor]:
    """``p_value`` of each network, and ``q_value`` over all of them (Benjamini & Hochberg 1995)."""
    p = upper_p_value(observed.numpy(), null.numpy()[:, None])
    return {"p_value": torch.from_numpy(p), "q_value": torch.from_numpy(false_discovery_control(p))}


def mean_overlap(masks: Tensor) -> float:
    """Mean intersection over union of all pairs of masks (n, N); 0 for fewer than two."""
    count = len(masks)
    if count < 2:
        return 0.0
    overlap = intersection_over_union(masks, masks)
    return float((overlap.sum() - overlap.diagonal().sum()) / (count * (count - 1)))


def summary(statistics: Mapping[str, Tensor]) -> dict[str, float]:
    """Summaries of the statistics over all networks."""
    metrics = {"iq_smallest": float(statistics["iq"].min())}
    for name in (
        "iq",
        "iq_starts",
        "iq_texts",
        "reproducibility",
        "mask_agreement",
        "sign_agreement",
        "split_half",
    ):
        if name in statistics:
            metrics[f"{name}_median"] = float(statistics[name].quantile(0.5))
    if "p_value" in statistics:
        metrics["networks_p_below_05"] = float((statistics["p_value"] < 0.05).sum())
        metrics["networks_q_below_05"] = float((statistics["q_value"] < 0.05).sum())
    return metrics


def null_summary(null: Tensor) -> dict[str, float]:
    """Number of null networks, median and 95th percentile of their reproducibility."""
    if not len(null):
        return {}
    return {
        "null_networks": float(len(null)),
        "null_median": float(null.quantile(0.5)),
        "null_95": float(null.quantile(0.95)),
    }
