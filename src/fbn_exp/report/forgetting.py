"""Scores before and after training as tables on the console."""

import pandas as pd
from rich.table import Table

from fbn_exp.benchmarks.comparison import TRAINED
from fbn_exp.core.console import console
from fbn_exp.report.figures.forgetting import headlines


def print_forgetting(table: pd.DataFrame) -> None:
    """Print one line per task and metric."""
    shown = Table(title=f"Before and after training {table['trainable'].iloc[0]}")
    for name in ("task / metric", "before", "after", "difference", "95% interval", "chance"):
        shown.add_column(name, justify="left" if name.startswith("task") else "right")
    for row in table.to_dict("records"):
        chance = row["chance"]
        shown.add_row(
            f"{row['task']}/{row['metric']}" + (" (trained)" if row["role"] == TRAINED else ""),
            f"{row['before']:.4g}",
            f"{row['after']:.4g}",
            f"{row['delta']:+.4g}",
            f"{row['ci_low']:+.3g} … {row['ci_high']:+.3g}",
            "–" if chance is None or chance != chance else f"{chance:.4g}",
        )
    console.print(shown)


def print_sweep(forgetting: pd.DataFrame) -> None:
    """Print one table over all jobs of a sweep: a line per choice of what is trained, a column per task.

    Parameters
    ----------
    forgetting : DataFrame
        Of a sweep.
    """
    columns = list(headlines(forgetting))
    shown = Table(title="After training, and the difference to before with its 95% interval")
    shown.add_column("trained")
    shown.add_column("parameters", justify="right")
    for title, _ in columns:
        shown.add_column(title.replace(": ", "\n", 1), justify="right")
    by_choice = [rows.set_index("choice") for _, rows in columns]
    sizes = dict(zip(forgetting["job"], forgetting["trained_parameters"], strict=True))
    for choice, job in columns[0][1][["choice", "job"]].itertuples(index=False):
        cells = [_cell(rows.loc[choice]) if choice in rows.index else "–" for rows in by_choice]
        shown.add_row(choice, f"{int(sizes[job]):,}", *cells)
    console.print(shown)


def _cell(row: "pd.Series[float]") -> str:
    return f"{row['after']:.4g}\n{row['delta']:+.3g}\n({row['ci_low']:+.2g} … {row['ci_high']:+.2g})"
