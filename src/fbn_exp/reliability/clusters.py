"""Clusters of estimates over runs, their quality and their reproducibility."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from fbn_exp.networks.matching import partners, unit_rows
from fbn_exp.reliability.config import Cluster
from fbn_exp.reliability.runs import Run


@dataclass(frozen=True, eq=False)
class Clusters:
    """Estimates of all runs, run after run, in K clusters.

    Attributes
    ----------
    similarity : Tensor of shape (R · K, R · K), float64
        |r| of the estimates' sources over tokens, or of their maps over neurons.
    labels : Tensor of shape (R · K,), int64
        Cluster of each estimate.
    centrotypes : Tensor of shape (K,), int64
        Index of the estimate that represents each cluster.
    iq : Tensor of shape (K,)
        Quality index of each cluster.
    reproducibility : Tensor of shape (K,)
        Mean |r| of each network between other runs than its own.
    """

    similarity: Tensor
    labels: Tensor
    centrotypes: Tensor
    iq: Tensor
    reproducibility: Tensor


def cluster(runs: Sequence[Run], by: Cluster) -> Clusters:
    """Cluster the estimates of runs (Icasso: Himberg, Hyvärinen & Esposito 2004) by sources or by maps."""
    directions = torch.cat([unit_rows(run.maps if by is Cluster.maps else run.courses.T) for run in runs])
    similar = similarity(directions)
    labels = average_linkage(similar, len(runs[0].maps))
    centres = centrotypes(similar, labels)
    return Clusters(
        similar,
        labels,
        centres,
        quality(similar, labels),
        reproducibility(similar, centres, len(runs)),
    )


def similarity(directions: Tensor) -> Tensor:
    """|r| of all pairs of unit vectors (n, D), with an exact 1 on the diagonal, float64."""
    return (directions @ directions.T).double().abs().clamp_max(1).fill_diagonal_(1)


def average_linkage(similar: Tensor, n_clusters: int) -> Tensor:
    """Labels 0 … n_clusters − 1 of an average-linkage clustering of distances 1 − similarity."""
    if len(similar) == 1:
        return torch.zeros(1, dtype=torch.int64)
    tree = linkage(squareform((1 - similar).numpy(), checks=False), "average")
    # fcluster may return fewer clusters where heights are tied, as with identical runs
    return torch.from_numpy(cut_tree(tree, n_clusters)[:, 0].astype(np.int64))


def quality(similar: Tensor, labels: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Cluster quality index Iq (Himberg, Hyvärinen & Esposito 2004), shape (clusters,).

    Mean |r| between different estimates of a cluster, minus the mean |r| between them and all estimates
    outside. As in the authors' program, an estimate is not compared with itself; in a cluster with fewer
    than two estimates the first term is 0.

    Parameters
    ----------
    similar : Tensor of shape (n, n)
        |r| of all pairs.
    labels : Tensor of shape (n,)
        Cluster of each estimate.
    chosen : Tensor of shape (n,), bool, optional
        Estimates to count; None counts all.
    """
    member = torch.nn.functional.one_hot(labels).to(similar.dtype)
    if chosen is not None:
        member = member * chosen[:, None]
    between = member.T @ similar @ member
    size = member.sum(dim=0)
    inside = (between.diagonal() - size) / (size * (size - 1)).clamp_min(1)
    outside = between.sum(dim=1) - between.diagonal()
    return inside - outside / (size * (size.sum() - size)).clamp_min(1)


def centrotypes(similar: Tensor, labels: Tensor) -> Tensor:
    """Centrotype of each cluster: the estimate with the largest sum of similarities to its members."""
    member = torch.nn.functional.one_hot(labels).to(similar.dtype)
    return (similar @ member).masked_fill(member == 0, -1.0).argmax(dim=0)


def matched(similar: Tensor, centres: Tensor, n_runs: int) -> Tensor:
    """Index of the estimate in each run that is matched one to one to each network, shape (R, K)."""
    n_components = len(centres)
    estimates = []
    for run in range(n_runs):
        table = similar[centres, run * n_components : (run + 1) * n_components]
        estimates.append(torch.from_numpy(partners(table.numpy())) + run * n_components)
    return torch.stack(estimates)


def reproducibility(similar: Tensor, centres: Tensor, n_runs: int) -> Tensor:
    """Mean |r| of each network over pairs of runs (RAICAR: Yang, LaConte, Weng & Hu 2008), shape (K,).

    Estimates are matched one to one in every run, so that a network that few runs find is not taken for
    reproducible, as a small tight cluster would be by Iq. The run that a network comes from is left out of
    its pairs: matches were chosen for their |r| with it. The expectation thus hardly depends on the number of
    runs, at least 3, if all are of one kind. Of few runs of both kinds (``resample=both``) a smaller share of
    the pairs is of two runs on all texts, and it is lower.
    """
    estimates = matched(similar, centres, n_runs)
    pairs = similar[estimates.T[:, :, None], estimates.T[:, None, :]]
    own = torch.nn.functional.one_hot(centres // len(centres), n_runs).bool()
    pairs = pairs.masked_fill(own[:, :, None] | own[:, None, :], 0)
    others = n_runs - 1
    return (pairs.sum(dim=(1, 2)) - others) / (others * (others - 1))
