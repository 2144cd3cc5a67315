"""Model-order curve: reliability and explained variance over the number of components."""

from collections.abc import Mapping, Sequence

import torch
from tqdm import tqdm

from fbn_exp.methods.base import SubspaceDecomposition
from fbn_exp.reliability.clusters import Clusters, cluster
from fbn_exp.reliability.config import Cluster
from fbn_exp.reliability.runs import AnyFits, Method, SubspaceFits, WholeFits, changed


def fits_at(n_components: int, method: Method, fits: AnyFits) -> AnyFits:
    """Fits with another number of components, which must be at most that of the given fits."""
    other = changed(method, n_components=n_components)
    if isinstance(fits, SubspaceFits):
        assert isinstance(other, SubspaceDecomposition)
        return SubspaceFits(other, fits.signals, fits.rows, fits.spaces)
    return WholeFits(other, fits.signals, fits.rows)


def model_order_curve(
    orders: Sequence[int],
    fits: AnyFits,
    resampled: Sequence[bool],
    by: Cluster,
    generator: torch.Generator,
) -> tuple[Mapping[str, float], ...]:
    """Cluster the runs of each number of components.

    Parameters
    ----------
    orders : sequence of int
        Numbers of components; where fits are in a subspace, at most its dimension.
    fits : Fits
        Fits to the signals at the largest number of components.
    resampled : sequence of bool
        Flag per run, true where it draws texts.
    by : Cluster
        Side of the estimates that is clustered.
    generator : Generator
        Source of starts and resampled texts.

    Returns
    -------
    tuple of mapping
        ``n_components``, ``explained_variance`` of the subspace (NaN for a method without a subspace), Iq and
        reproducibility over networks, share of runs that did not converge.
    """
    rows = []
    for order in tqdm(sorted(set(orders)), desc="Model orders", unit=" order", leave=False):
        at = fits_at(order, fits.method, fits)
        runs = at.runs(at.draws(resampled, generator), generator, f"Runs of {order}")
        stopped = sum(not run.converged for run in runs) / len(runs)
        rows.append({"n_components": float(order), **_row(cluster(runs, by), at), "not_converged": stopped})
    return tuple(rows)


def _row(clusters: Clusters, fits: AnyFits) -> dict[str, float]:
    explained = float("nan")
    if isinstance(fits, SubspaceFits):
        values = fits.spaces.all_tokens(fits.method.count).singular_values
        explained = float(values.square().sum()) / fits.spaces.total_energy
    quartiles = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    low, middle, high = clusters.iq.quantile(quartiles).tolist()
    return {
        "explained_variance": explained,
        "iq_median": middle,
        "iq_lower_quartile": low,
        "iq_upper_quartile": high,
        "iq_smallest": float(clusters.iq.min()),
        "reproducibility_median": float(clusters.reproducibility.quantile(0.5)),
    }
