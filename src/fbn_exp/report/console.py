"""The last lines on the console: what was found, in words, and where the pictures are."""

import os
from pathlib import Path

import pandas as pd
from rich.markup import escape
from rich.table import Table

from fbn_exp.core.console import console
from fbn_exp.core.run_folder import RunFolder
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.report.reliability import reliability_lines
from fbn_exp.thresholds.base import Threshold

ROWS = 20
TOKENS = 4
OUTLIER_SHARE = 0.05
# column of the table of networks -> its title
RELIABILITY = {"iq": "Iq", "p_value": "p", "split_half": "split-half"}


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
    for line in reliability_lines(metrics):
        console.print(line)
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
    reliable = [name for name in RELIABILITY if name in table.columns]
    titles = [RELIABILITY[name] for name in reliable]
    for name in ("network", "neurons", "variance", *titles, "main block", "driven by", "strongest at"):
        shown.add_column(name, justify="left" if name in ("driven by", "strongest at") else "right")
    for row in table.head(ROWS).itertuples():
        top = tokens[tokens["network"] == row.network].head(TOKENS)
        words = " ".join(escape(repr(str(token))) for token in top["token"])
        shown.add_row(
            str(row.network),
            f"{row.size:,}",
            f"{row.explained_variance_ratio:.1%}",
            *(f"{getattr(row, name):.2g}" for name in reliable),
            f"{row.main_block} ({row.share_in_main_block:.0%})",
            str(row.label),
            words,
        )
    return shown


def remarks(metrics: dict[str, float]) -> list[str]:
    """What a reader must know before believing the networks."""
    said = _convergence(metrics)
    share = metrics["signals/outlier_share"]
    if share > OUTLIER_SHARE:
        said.append(
            f"{metrics['signals/outlier_tokens']:,.0f} of {metrics['signals/tokens']:,.0f} tokens hold "
            f"{share:.0%} of the signals' energy (largest row norm "
            f"{metrics['signals/row_norm_largest']:,.0f}, median {metrics['signals/row_norm_median']:,.0f})."
        )
        said.append("Try signals=stable: first tokens left out, neurons z-scored.")
    if metrics["networks/empty"]:
        said.append(f"{metrics['networks/empty']:.0f} networks have no neuron at this threshold.")
    return said


def _convergence(metrics: dict[str, float]) -> list[str]:
    if "method/converged" not in metrics:
        return []
    share = metrics["method/converged"]
    if "method/blocks_decomposed" in metrics:
        return [f"The method converged in {share:.0%} of {metrics['method/blocks_decomposed']:.0f} blocks."]
    if "method/n_steps" in metrics:
        steps = f"{metrics['method/n_steps']:.0f} steps"
        if share:
            return [f"The dictionary settled after {steps}."]
        return [f"The dictionary did not settle in {steps}: raise method.epochs."]
    if "method/n_iterations" not in metrics:
        return ["The method converged." if share else "The method did not converge."]
    if share:
        return [f"ICA converged in {metrics['method/n_iterations']:.0f} iterations."]
    return [
        f"ICA did not converge in {metrics['method/n_iterations']:.0f} iterations (last change "
        f"{metrics['method/last_change']:.1e}): other seeds may find other networks."
    ]


def _relative(path: Path) -> str:
    return escape(os.path.relpath(path))
