"""What an evaluation says on the console: each score beside its baseline and controls."""

from collections.abc import Sequence

from rich.table import Table

from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.core.console import console
from fbn_exp.interventions.config import ControlKind
from fbn_exp.interventions.rules import Intervention
from fbn_exp.interventions.target import Target


def print_verdict(comparisons: Sequence[Comparison], intervention: Intervention, target: Target) -> None:
    """Print one line per task and metric."""
    chosen = "all" if intervention.networks == "all" else ", ".join(map(str, target.networks))
    table = Table(title=f"{intervention.describe()}: networks {chosen}, {target.size:,} neurons")
    table.add_column("task / metric")
    for name in ("baseline", "value", "difference", "95% interval"):
        table.add_column(name, justify="right")
    kinds = [kind for kind in ControlKind if kind is not ControlKind.share or _drawn(comparisons, kind)]
    for kind in kinds:
        table.add_column(f"{kind.value}\ncontrols", justify="right")
    for each in comparisons:
        delta = each.delta
        table.add_row(
            each.score.name,
            f"{each.baseline.value:.4g}",
            f"{each.score.value:.4g}",
            f"{delta.value:+.4g}",
            f"{delta.ci_low:+.3g} … {delta.ci_high:+.3g}",
            *(_control(each, kind) for kind in kinds),
        )
    console.print(table)
    if any(each.controls for each in comparisons):
        console.print(
            "Controls: the same intervention on random neurons, lowest … highest score of their draws."
        )


def _drawn(comparisons: Sequence[Comparison], kind: ControlKind) -> bool:
    return any(kind in each.controls for each in comparisons)


def _control(comparison: Comparison, kind: ControlKind) -> str:
    found = [score.value for score in comparison.controls.get(kind, [])]
    return f"{min(found):.4g} … {max(found):.4g}" if found else "–"
