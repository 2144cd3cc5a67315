"""The last lines on the console: what was found, in words, and where the pictures are."""

import os
from pathlib import Path

import pandas as pd
from rich.markup import escape
from rich.table import Table

from fbn_exp.console import console
from fbn_exp.networks import FunctionalNetworks
from fbn_exp.stages.run_folder import RunFolder
from fbn_exp.thresholds import Threshold

ROWS = 20
TOKENS = 4
OUTLIER_SHARE = 0.05


def print_summary(folder: RunFolder, networks: FunctionalNetworks, threshold: Threshold) -> None:
    """Print a table of the networks and a few sentences about them."""
    table = pd.read_csv(folder.artifacts["tables/networks"])
    strongest = folder.artifacts["tables/strongest_tokens"]
    tokens = pd.read_csv(strongest, keep_default_na=False, dtype={"token": str})
    table["label"] = pd.read_csv(folder.artifacts["tables/drivers"])["label"]
    console.print(_network_table(table, tokens, threshold))
    metrics = folder.metrics
    union = int(metrics["networks/union_size"])
    console.print(
        f"Found {len(networks)} networks in {networks.layout.describe()}: together {union:,} neurons "
        f"({union / networks.layout.n_neurons:.2%}), {metrics['explained_variance']:.1%} of the variance."
    )
    for line in remarks(metrics):
        console.print(line, style="yellow")
    pictures = folder.path / "figures"
    console.print(f"Networks: {_relative(folder.path / 'networks')}", soft_wrap=True, highlight=False)
    console.print(
        f"Pictures: {_relative(pictures)}/overview.png and beside it", soft_wrap=True, highlight=False
    )
    console.print(f"Report:   {_relative(folder.artifacts['report'])}", soft_wrap=True, highlight=False)


def _network_table(table: pd.DataFrame, tokens: pd.DataFrame, threshold: Threshold) -> Table:
    more = f", the first {ROWS} of {len(table)}" if len(table) > ROWS else ""
    shown = Table(title=f"Networks ({threshold.describe()}){more}")
    for name in ("network", "neurons", "variance", "main block", "driven by", "strongest at"):
        shown.add_column(name, justify="left" if name in ("driven by", "strongest at") else "right")
    for row in table.head(ROWS).itertuples():
        top = tokens[tokens["network"] == row.network].head(TOKENS)
        words = " ".join(escape(repr(str(token))) for token in top["token"])
        shown.add_row(
            str(row.network),
            f"{row.size:,}",
            f"{row.explained_variance_ratio:.1%}",
            f"{row.main_block} ({row.share_in_main_block:.0%})",
            str(row.label),
            words,
        )
    return shown


def remarks(metrics: dict[str, float]) -> list[str]:
    """What a reader must know before believing the networks."""
    remarks = []
    share = metrics["signals/outlier_share"]
    converged = metrics.get("method/converged", 1.0) == 1.0
    if not converged:
        remarks.append(
            f"ICA did not converge in {metrics['method/n_iterations']:.0f} iterations (last change "
            f"{metrics['method/last_change']:.1e}): other seeds may find other networks."
        )
    elif "method/n_iterations" in metrics:
        remarks.append(f"ICA converged in {metrics['method/n_iterations']:.0f} iterations.")
    if share > OUTLIER_SHARE:
        remarks.append(
            f"{metrics['signals/outlier_tokens']:,.0f} of {metrics['signals/tokens']:,.0f} tokens hold "
            f"{share:.0%} of the signals' energy (largest row norm "
            f"{metrics['signals/row_norm_largest']:,.0f}, median {metrics['signals/row_norm_median']:,.0f})."
        )
    if not converged or share > OUTLIER_SHARE:
        remarks.append("Try signals=stable: first tokens left out, neurons z-scored.")
    if metrics["networks/empty"]:
        remarks.append(f"{metrics['networks/empty']:.0f} networks have no neuron at this threshold.")
    return remarks


def _relative(path: Path) -> str:
    return escape(os.path.relpath(path))
