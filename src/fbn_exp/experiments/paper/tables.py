"""What a sweep found, in the form of the paper's tables: a line per result, with controls and intervals."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.experiments.config import PaperTable
from fbn_exp.interventions.config import ControlKind

# metrics that a reader looks at, of those that benchmarks give
SHOWN = ("acc", "balanced_acc", "f1", "exact_match", "nats_per_token", "distinct_2", "repetition")
SAME_SIZE = (ControlKind.random, ControlKind.per_block, ControlKind.activation)
COMPONENTS = "override/method.n_components"
CORPUS = "override/dataset"


def found_table(
    kind: PaperTable, jobs: pd.DataFrame, scores: pd.DataFrame, templates: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Tidy table of what a sweep found, empty where no job of the kind has finished.

    Parameters
    ----------
    kind : PaperTable
        Which table of the paper.
    jobs : DataFrame
        One row per job: overrides and flat metrics.
    scores : DataFrame
        One row per job, task and metric.
    templates : mapping of str to DataFrame
        Of each job that measured consistency, one row per template.
    """
    if kind is PaperTable.consistency:
        return _consistency(jobs, templates)
    return _scored(scores)


def _scored(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per task, metric and choice of networks; intervals are of the value, not of the difference."""
    if scores.empty:
        return pd.DataFrame()
    rows = scores[scores["metric"].isin(SHOWN) & (scores["intervention"] != "none")].reset_index(drop=True)
    sign = np.where(rows["higher_is_better"], 1.0, -1.0)
    found = rows[["job", "task", "metric", "networks", "neurons", "factor", "n", "chance", "value"]].copy()
    if COMPONENTS in rows and rows[COMPONENTS].notna().any():
        found["components"] = pd.to_numeric(rows[COMPONENTS]).astype("Int64")
    found["untouched"] = rows["baseline"]
    found["p_value"] = rows["p_value"]
    found["activity_ratio"] = rows["activity_ratio"]
    found["low"] = rows["baseline"] + rows["ci_low"]
    found["high"] = rows["baseline"] + rows["ci_high"]
    for control in ControlKind:
        for side in ("", "_low", "_high"):
            name = f"control_{control.value}{side}"
            found[name] = rows.get(name, np.nan)
    ranks = np.stack([rows[f"rank_{control.value}"].to_numpy(dtype=float) for control in SAME_SIZE])
    better, worse = sign * rows["delta"] > 0, sign * rows["delta"] < 0
    clear = np.sign(rows["ci_low"]) * np.sign(rows["ci_high"]) > 0
    # NaN compares as neither
    found["harms"] = worse & clear
    found["helps"] = better & clear
    found["below_controls"] = (ranks == 0).all(axis=0)
    found["above_controls"] = (ranks == 1).all(axis=0)
    return found


def _consistency(jobs: pd.DataFrame, templates: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per corpus."""
    if "consistency/count_total" not in jobs:
        return pd.DataFrame()
    rows = jobs[jobs["consistency/count_total"].notna()].reset_index(drop=True)
    counts = [templates[str(job)]["count"].astype(int) for job in rows["job"]]
    individual = rows["consistency/individual_networks"]
    return pd.DataFrame(
        {
            "corpus": rows.get(CORPUS, "default"),
            "templates": [len(each) for each in counts],
            "individual": individual.astype(int),
            "matches": rows["consistency/count_total"].astype(int),
            "chance_masks": rows["consistency/count_total/chance_masks"],
            "chance_shift": rows["consistency/count_total/chance_shift"],
            "p_value": rows["consistency/count_total/p_value"],
            "smallest": [each.min() for each in counts],
            "largest": [each.max() for each in counts],
            "above_chance": rows["consistency/above_chance"].astype(int),
            "recurring": rows["consistency/recurring"].astype(int),
            "counts": [" ".join(map(str, each)) for each in counts],
        }
    )


def shown(kind: PaperTable, found: pd.DataFrame) -> pd.DataFrame:
    """The table as it is read: numbers as text, ranges in one cell."""
    if kind is PaperTable.consistency:
        return _shown_consistency(found)
    rows = [_shown_row(kind, row) for row in found.to_dict("records")]
    table = pd.DataFrame(rows).dropna(axis=1, how="all")
    return table.loc[:, [name for name in table if not (table[name] == "–").all()]]


def _shown_row(kind: PaperTable, row: Mapping[Hashable, Any]) -> dict[str, object]:
    verdicts = {
        PaperTable.preservation: "beyond every control" if row["above_controls"] else "no",
        PaperTable.amplification: _gain(row),
    }
    harmed = "yes" if row["harms"] and row["below_controls"] else "no"
    cells: dict[str, object] = {"task": row["task"], "metric": row["metric"]}
    if kind is PaperTable.preservation and "components" in row:
        cells["components"] = row["components"]
    cells |= {
        "networks": row["networks"],
        "neurons": row["neurons"],
        "factor": row["factor"] if kind is PaperTable.amplification else None,
        "chance": number(row["chance"]),
        "untouched": number(row["untouched"]),
        "networks' neurons": f"{number(row['value'])} ({number(row['low'])} … {number(row['high'])})",
    }
    names = {
        "share": "share at random",
        "random": "random",
        "per_block": "same blocks",
        "activation": "nearest in activity",
    }
    for control, name in names.items():
        cells[name] = between(row[f"control_{control}_low"], row[f"control_{control}_high"])
    cells["their activity"] = "–" if np.isnan(row["activity_ratio"]) else f"{row['activity_ratio']:.0%}"
    cells["p"] = p_value(row["p_value"])
    verdict = {PaperTable.preservation: "keeps more than every control", PaperTable.amplification: "gain"}
    cells[verdict.get(kind, "harm beyond every control")] = verdicts.get(kind, harmed)
    return cells


def _gain(row: Mapping[Hashable, Any]) -> str:
    if row["helps"]:
        return "yes, beyond every control" if row["above_controls"] else "yes, as controls do"
    return "harm" if row["harms"] else "no"


def _shown_consistency(found: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "corpus": found["corpus"],
            "pairs": [f"{a * b:,}" for a, b in zip(found["templates"], found["individual"], strict=True)],
            "matches": [f"{each:,}" for each in found["matches"]],
            "by chance: masks": [number(each) for each in found["chance_masks"]],
            "by chance: shifted signals": [number(each) for each in found["chance_shift"]],
            "p": [number(each) for each in found["p_value"]],
            "count of each template": found["counts"],
            "templates above chance": [
                f"{above} of {all_}"
                for above, all_ in zip(found["above_chance"], found["templates"], strict=True)
            ],
            "individual networks that match any": [
                f"{a:,} of {b:,}" for a, b in zip(found["recurring"], found["individual"], strict=True)
            ],
        }
    )


def short_name(task: object) -> str:
    """Name of a task without that of its benchmark."""
    return str(task).removeprefix("fbn_").removeprefix("classification_")


def number(value: object) -> str:
    """A number with as many digits as are read, no minus before a zero, ``–`` for none."""
    found = float(value)  # type: ignore[arg-type]
    if np.isnan(found):
        return "–"
    return f"{found:z.3f}" if abs(found) < 10 else f"{found:,.1f}"


def p_value(value: float) -> str:
    """A p value with as many digits as are read, ``–`` for none."""
    return "–" if np.isnan(value) else "< .001" if value < 0.001 else f"{value:.3f}"


def between(low: object, high: object) -> str:
    """Lowest … highest of the draws of a control."""
    bounds = number(low), number(high)
    return bounds[0] if bounds[0] == bounds[1] else " … ".join(bounds)


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table, numbers to the right."""
    words = [bool(table[name].map(_is_words).any()) for name in table]
    # without rows tabulate aligns nothing
    aligned: dict[str, Any] = (
        {} if table.empty else {"colalign": ["left" if each else "right" for each in words]}
    )
    return table.map(_cell).to_markdown(index=False, disable_numparse=True, **aligned)


def _is_words(value: object) -> bool:
    return isinstance(value, str) and value[:1].isalpha()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}" if not np.isnan(value) else "–"
    return str(value).replace("|", "\\|").replace("\n", " ")
