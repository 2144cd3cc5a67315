"""Present extracted networks as numbers, tables, pictures and sentences."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fbn_exp.analysis.description import Description
from fbn_exp.analysis.drivers import FEATURES
from fbn_exp.core.moments import RowNorms
from fbn_exp.methods.base import Decomposition
from fbn_exp.methods.solvers.convergence import Convergence, Starts, StartScore
from fbn_exp.networks.masks import network_table
from fbn_exp.reliability.base import ReliabilityReport
from fbn_exp.report.figures.networks import network_figures
from fbn_exp.report.networks import mask_metrics, sign_remarks, tail_metrics, tail_remarks, tested_lines
from fbn_exp.report.order import present_order_curves
from fbn_exp.report.presentation import ROWS, Presentation, peak_memory
from fbn_exp.report.reliability import COLUMNS, present_reliability
from fbn_exp.report.style import ARROWS

TOKENS = 4
OUTLIER_SHARE = 0.05
# how the next optimum of a method with several starts is worse
WORSE = {
    StartScore.negentropy: "The next optimum's negentropy is lower",
    StartScore.largest_l1: "The next optimum's least sparse map is denser (L1 norm)",
}
# columns of the table of drivers that become metrics; a metric that does not apply to a network is missing
DRIVERS = (
    "kurtosis",
    "massive_share",
    "strongest_energy",
    "first_token_energy",
    "driver_position_any",
    "driver_domain",
    *(f"driver_{name}" for name in FEATURES),
)


def present_extraction(
    description: Description, reliability: ReliabilityReport | None, max_networks: int
) -> Presentation:
    """Present networks; ``extraction_metrics`` adds numbers about the signals and the fit.

    Parameters
    ----------
    description : Description
        The networks and their description.
    reliability : ReliabilityReport or None
        Reliability of the networks over many fits.
    max_networks : int
        Number of networks that are drawn on separate maps.
    """
    networks, threshold = description.extraction.networks, description.threshold
    table = network_table(
        description.masks,
        networks.maps,
        networks.layout,
        networks.statistics,
        description.tails,
        networks.names,
    )
    drivers = description.drivers
    many_fits = Presentation() if reliability is None else present_reliability(reliability)
    number_of_networks = present_order_curves(description.extraction.method.orders_)
    # of single blocks, the numbers are means over them
    whole = networks.blocks is None
    more = f", the first {ROWS} of {len(table)}" if len(table) > ROWS else ""
    return Presentation(
        metrics={
            **mask_metrics(description.masks),
            **peak_memory(),
            **_network_metrics(table),
            **many_fits.metrics,
            **number_of_networks.metrics,
            **_driver_metrics(drivers.table),
            **tail_metrics(description.tails),
        },
        tables={
            "networks": table,
            "strongest_tokens": description.tokens,
            **many_fits.tables,
            **number_of_networks.tables,
            "drivers": drivers.table,
            "strongest_texts": drivers.texts,
        },
        figures={
            **network_figures(networks, threshold, max_networks),
            **many_fits.figures,
            **number_of_networks.figures,
        },
        title=f"Networks ({threshold.describe()}){more}",
        rows=_rows(table.head(ROWS), description),
        words=("driven by: members go", "strongest at"),
        lines=[
            _sentence(description),
            *(autoencoder_lines(description.extraction.method) if "active_share" in table and whole else ()),
            *tested_lines(networks.statistics),
            *number_of_networks.lines,
            *many_fits.lines,
        ],
        remarks=[
            *number_of_networks.remarks,
            *tail_remarks(description.tails, description.threshold),
            *(sign_remarks(networks, description.extraction.method, threshold.pole) if whole else ()),
            *remarks(description),
        ],
    )


def _sentence(description: Description) -> str:
    networks, method = description.extraction.networks, description.extraction.method
    union = int(description.masks.any(dim=0).sum())
    return (
        f"Found {len(networks)} networks in {networks.layout.describe()}: together {union:,} neurons "
        f"({union / networks.layout.n_neurons:.2%}), {method.explained_variance_:.1%} of the variance."
    )


def _network_metrics(table: pd.DataFrame) -> dict[str, float]:
    columns = {"size": "size", "explained_variance": "explained_variance_ratio"}
    return {
        f"network/{row['network']}/{name}": row[column]
        for row in table.to_dict("records")
        for name, column in columns.items()
    }


def _driver_metrics(table: pd.DataFrame) -> dict[str, float]:
    return {
        f"network/{row['network']}/{name}": float(row[name])
        for row in table.to_dict("records")
        for name in DRIVERS
        if np.isfinite(row[name])
    }


def _rows(table: pd.DataFrame, description: Description) -> pd.DataFrame:
    tokens = dict(list(description.tokens.groupby("network")))
    none = description.tokens.head(0)
    strongest = [tokens.get(network, none).head(TOKENS) for network in table["network"]]
    drivers = description.drivers.table.head(len(table)).to_dict("records")
    return pd.DataFrame(
        {
            "network": [
                " ".join(str(row[key]) for key in ("network", "name") if key in table)
                for row in table.to_dict("records")
            ],
            "neurons": [f"{size:,}" for size in table["size"]],
            "variance": [f"{share:.1%}" for share in table["explained_variance_ratio"]],
            **{
                title: [f"{value:.2g}" for value in table[name]]
                for name, title in COLUMNS.items()
                if name in table
            },
            **_in_other_optima(table, description),
            **_active(table),
            "main block": [
                f"{block} ({share:.0%})"
                for block, share in zip(table["main_block"], table["share_in_main_block"], strict=True)
            ],
            "driven by: members go": [
                f"{driver['label']}: {driver['members_go'] or 'no members'}" for driver in drivers
            ],
            "strongest at": [
                " ".join(
                    f"{ARROWS[go]}{token!r}"
                    for go, token in zip(each["members_go"], each["token"], strict=True)
                )
                for each in strongest
            ],
        }
    )


def _in_other_optima(table: pd.DataFrame, description: Description) -> dict[str, list[str]]:
    """Column with the number of other good optima in which each network stands; none where there is one."""
    extraction = description.extraction
    if extraction.networks.blocks is not None or "other_optima" not in table:
        return {}
    good = extraction.method.metrics_.get("good_optima", 0)
    return (
        {}
        if good == 0
        else {"other optima": [f"{count:.0f} of {good:.0f}" for count in table["other_optima"]]}
    )


def _active(table: pd.DataFrame) -> dict[str, list[str]]:
    """Column with the share of tokens at which the latents of an autoencoder are active; none for others."""
    return {"active": [f"{share:.1%}" for share in table["active_share"]]} if "active_share" in table else {}


def autoencoder_lines(fitted: Decomposition) -> list[str]:
    """Say how good a fitted autoencoder is."""
    metrics, n_latents = fitted.metrics_, len(fitted.maps_)
    dead = f"{metrics['dead_latents']:g}" if metrics["dead_latents"] else "none"
    lines = [
        f"{metrics['latents_per_token']:.1f} of {n_latents} latents are active at a token; dead: {dead}."
    ]
    if "held_out_variance" in metrics:
        lines.append(
            f"In texts held out of the training latents explain {metrics['held_out_variance']:.1%} of the "
            f"variance, {n_latents} principal components {metrics['held_out_pca']:.1%}."
        )
    return lines


def remarks(description: Description) -> list[str]:
    """Caveats about the networks."""
    extraction = description.extraction
    signals, method = extraction.signals, extraction.method
    per_block = extraction.networks.blocks is not None
    said = convergence_remarks(type(method).__name__, method.convergence_, per_block)
    said += outlier_remarks(signals.row_norms, len(signals.values))
    if empty := int((~description.masks.any(dim=1)).sum()):
        said.append(f"{empty} networks have no neuron at this threshold.")
    return said


def convergence_remarks(method: str, fits: Sequence[Convergence], per_block: bool) -> list[str]:
    """Say how the fit of a method, or of each block, converged; empty for methods without iterations."""
    if not fits:
        return []
    if per_block:
        share = sum(each.converged for each in fits) / len(fits)
        return [f"The method converged in {share:.0%} of {len(fits)} blocks."]
    (fit,) = fits
    gradient = "" if fit.gradient is None else f" (gradient {fit.gradient:.1g})"
    if fit.own_rule is not None:
        return [
            f"FastICA stopped by its own rule after {fit.n_iterations} iterations; the gradient "
            f"{fit.gradient:.1g} is above method.tolerance ({fit.own_rule:.1g}): no optimum. Other "
            "seeds may find other networks; method.solver=picard goes on to an optimum."
        ]
    if not fit.converged:
        return [
            f"{method} did not converge in {fit.n_iterations} iterations{gradient}: other seeds may find "
            f"other networks, raise {fit.limit}."
        ]
    if fit.starts is None or fit.starts.run == 1:
        return [f"{method} converged in {fit.n_iterations} iterations{gradient}."]
    return _starts_remarks(method, fit.starts, gradient)


def _starts_remarks(method: str, starts: Starts, gradient: str) -> list[str]:
    """Say how often the best optimum came back, and how far the next one is."""
    failed = starts.run - starts.converged
    stopped = f" {failed} starts did not converge." if failed else ""
    other = "" if starts.gap is None else f" {WORSE[starts.score]} by {100 * max(starts.gap, 0):.2g}%."
    if starts.best == 1:
        said = [
            f"{method} converged{gradient}, but only one of {starts.run} starts reached the best optimum: "
            f"other seeds may find a better one, raise method.max_starts.{other}{stopped}"
        ]
    elif starts.best == 0:
        said = [
            f"{method} converged{gradient}. None of {starts.run} random starts reached the best optimum: it "
            f"was found from the best of theirs, by mixing two networks and going on.{other}{stopped}"
        ]
    else:
        said = [
            f"The best optimum came back from {starts.best} of {starts.run} starts{gradient}.{other}{stopped}"
        ]
    if starts.tied:
        said.append(
            "The next optimum is as good to within rounding, and holds other networks: which of the two is "
            "the better one cannot be told; the one with the larger negentropy by a second contrast is kept."
        )
    return said


def outlier_remarks(norms: RowNorms, n_tokens: int) -> list[str]:
    """Warn if a few tokens dominate the signals."""
    if norms.outlier_share <= OUTLIER_SHARE:
        return []
    return [
        f"{norms.outliers:,} of {n_tokens:,} tokens hold {norms.outlier_share:.0%} of the signals' energy "
        f"(largest row norm {norms.largest:,.0f}, median {norms.median:,.0f}).",
        "Try signals=stable: first tokens left out, neurons z-scored.",
    ]
