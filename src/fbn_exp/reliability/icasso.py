"""Icasso: networks that many runs agree on, each with a p value and its split-half reliability."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.checks import FEWEST_DRAWS
from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.spatial import makes_maps_independent
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.matching import aligned
from fbn_exp.reliability.base import Reliability, ReliabilityReport, SurrogateNull
from fbn_exp.reliability.clusters import Clusters, cluster, quality
from fbn_exp.reliability.config import Cluster, IcassoConfig, Resample
from fbn_exp.reliability.model_order import fits_at, model_order_curve
from fbn_exp.reliability.nulls import KINDS, surrogate_null
from fbn_exp.reliability.optima import optima_metrics
from fbn_exp.reliability.runs import AnyFits, Run, changed, fits_of
from fbn_exp.reliability.split_half import SplitHalf, compare_halves
from fbn_exp.reliability.wrapped import Wrapped
from fbn_exp.thresholds.base import Threshold


class Icasso(IcassoConfig, Reliability):
    """Many runs of a method, clustered (Himberg, Hyvärinen & Esposito 2004)."""

    uses_threshold = True

    @property
    def resampled(self) -> tuple[bool, ...]:
        """Flag per run, true where the run draws texts."""
        if self.resample is Resample.both:
            return tuple(run % 2 == 1 for run in range(self.runs))
        return (self.resample is Resample.texts,) * self.runs

    @property
    def n_surrogates(self) -> int:
        """Number of null data sets of each kind."""
        return self.surrogates or FEWEST_DRAWS

    def clustered(self, method: Decomposition) -> Cluster:
        """Side of the estimates of a method that is clustered."""
        if self.cluster is not Cluster.auto:
            return self.cluster
        return Cluster.maps if makes_maps_independent(method) else Cluster.sources

    @override
    def wrap(self, method: Decomposition, threshold: Threshold) -> Decomposition:
        return Centrotypes(method, self, threshold)


class Centrotypes(Wrapped[Icasso]):
    """Centrotypes of the clusters that ``Icasso`` finds, in place of the networks of a single run.

    A centrotype is the estimate with the largest sum of similarities to its cluster. It keeps the time
    course over all tokens from its run, so its map is in units of the signal, as that of any network.
    Time courses of different runs may correlate: their shares of variance then do not add up. Runs that
    do not converge are kept and counted: a single fit would have reported them.

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
        fits = fits_at(self.count, self.method, widest)
        draws = fits.draws(self.plan.resampled, generator)
        runs = fits.runs(draws, generator, "Runs")
        by = self.plan.clustered(self.method)
        clusters = cluster(runs, by)
        components = _components(fits, runs, clusters)
        self._together = fits.explained(components.time_courses)
        self.metrics_ = {
            "runs": float(len(runs)),
            "runs_not_converged": float(sum(not run.converged for run in runs)),
            "clusters_of_maps": float(by is Cluster.maps),
        }
        metrics = {
            **self.metrics_,
            **optima_metrics(runs, clusters.similarity, self.plan.resampled),
            "seconds": time.perf_counter() - started,
            **unusual(clusters.labels.bincount(), len(runs)),
        }
        nulls = self._nulls(fits, draws, by, generator)
        statistics = self._agreement(clusters) | self._masks(runs, clusters)
        statistics |= {f"p_{null.name}": null.p_values(clusters.reproducibility) for null in nulls}
        if n_texts > 1:
            halves = self._halves(fits, components.maps, generator)
            statistics |= halves.statistics()
            metrics |= halves.metrics()
        self.report_ = ReliabilityReport(
            statistics,
            {**metrics, **summary(statistics), **null_summary(nulls)},
            by.value,
            clusters.similarity,
            clusters.labels,
            nulls,
            model_order_curve(self.plan.orders, widest, self.plan.resampled, by, generator),
        )
        return components

    def _halves(self, fits: AnyFits, maps: Tensor, generator: torch.Generator) -> SplitHalf:
        plan = self.plan
        return compare_halves(fits, maps, self._members, plan.splits, plan.rotations, generator)

    def _widest(self, signals: Tensor) -> Decomposition:
        """Method with the largest number of components that is asked for."""
        largest = changed(self.method, n_components=max([self.count, *self.plan.orders]))
        largest._check(signals)
        return largest

    def _agreement(self, clusters: Clusters) -> dict[str, Tensor]:
        """Iq (also of each kind of run separately), reproducibility and size of every cluster."""
        statistics = {"iq": clusters.iq, "reproducibility": clusters.reproducibility}
        if self.plan.resample is Resample.both:
            texts = torch.tensor(self.plan.resampled).repeat_interleave(len(clusters.iq))
            for name, kind in (("iq_starts", ~texts), ("iq_texts", texts)):
                statistics[name] = quality(clusters.similarity, clusters.labels, kind)
        statistics["estimates"] = clusters.labels.bincount().double()
        return statistics

    def _masks(self, runs: Sequence[Run], clusters: Clusters) -> dict[str, Tensor]:
        """Agreement of masks and of signs within each cluster, computed one cluster at a time.

        Estimates take the sign of the reported network before their masks are compared. ``sign_agreement``
        is the share of a cluster's estimates whose own skewness gives that sign; a fit that found one of the
        others would have reported it with the opposite sign.
        """
        estimates = torch.cat([run.maps for run in runs])
        masks, signs = [], []
        for label, centre in enumerate(clusters.centrotypes.tolist()):
            reported = estimates[centre : centre + 1]
            reported = reported * self.method.signs(reported)[:, None]
            maps = aligned(estimates[clusters.labels == label], reported)
            masks.append(mean_overlap(self._members(maps)))
            signs.append(float((self.method.signs(maps) > 0).double().mean()))
        statistics = {"mask_agreement": masks, "sign_agreement": signs}
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in statistics.items()}

    def _nulls(
        self,
        fits: AnyFits,
        draws: Sequence[tuple[int, ...] | None],
        by: Cluster,
        generator: torch.Generator,
    ) -> tuple[SurrogateNull, ...]:
        return tuple(
            surrogate_null(kind, self.plan.n_surrogates, fits, draws, by, generator)
            for kind in KINDS[self.plan.surrogate]
        )

    @override
    def _arrange(self, order: Tensor) -> None:
        report = self.report_
        statistics = {name: values[order] for name, values in report.statistics.items()}
        self.report_ = replace(report, statistics=statistics, labels=order.argsort()[report.labels])
        self.statistics_ = statistics


def _components(fits: AnyFits, runs: Sequence[Run], clusters: Clusters) -> Components:
    """Networks of the centrotypes, each with map and time course of the run that it comes from."""
    count = len(clusters.centrotypes)
    chosen = [divmod(estimate, count) for estimate in clusters.centrotypes.tolist()]
    maps = torch.stack([runs[run].maps[row] for run, row in chosen])
    courses = torch.stack([runs[run].courses[:, row] for run, row in chosen], dim=1)
    return Components(maps, courses, fits.total_energy)


def unusual(estimates: Tensor, n_runs: int) -> dict[str, float]:
    """Count the clusters that merge several networks of each run, and those that few runs contribute to.

    Two networks of a run that are nearly alike on the side that is clustered end in one cluster, which leaves
    another cluster to a network that hardly any run finds.
    """
    return {
        "networks_merged": float((estimates >= 1.5 * n_runs).sum()),
        "networks_rare": float((estimates <= 0.5 * n_runs).sum()),
    }


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
        "split_half_null",
    ):
        if name in statistics:
            metrics[f"{name}_median"] = float(statistics[name].quantile(0.5))
    for name in ("phase", "shift", "split_half"):
        if f"p_{name}" in statistics:
            metrics[f"networks_p_{name}_to_05"] = float((statistics[f"p_{name}"] <= 0.05 + 1e-12).sum())
    return metrics


def null_summary(nulls: Sequence[SurrogateNull]) -> dict[str, float]:
    """Number of surrogates, median of their networks and 95th percentile of their largest reproducibility."""
    metrics = {}
    for null in nulls:
        metrics[f"null_{null.name}_surrogates"] = float(len(null.reproducibility))
        metrics[f"null_{null.name}_median"] = float(null.reproducibility.quantile(0.5))
        metrics[f"null_{null.name}_largest_95"] = float(null.largest.quantile(0.95))
    return metrics
