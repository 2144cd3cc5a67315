"""Results of a sweep in the form of the paper's tables: a row per result, with controls and intervals."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.experiments.config import PaperTable
from fbn_exp.interventions.config import ControlKind
from fbn_exp.report.presentation import SIGNIFICANT

# the benchmarks' metrics that the tables show
SHOWN = ("acc", "balanced_acc", "f1", "exact_match", "nats_per_token", "distinct_2", "repetition")
# kinds of chance that a result has to exceed, if they were drawn: all but a share of another size
BESIDE = tuple(kind for kind in ControlKind if kind.is_chance and kind is not ControlKind.share)
SAME_SIZE = (ControlKind.random, ControlKind.per_block, ControlKind.activation)
COMPONENTS = "override/method.n_components"
CORPUS = "override/dataset"
# chance levels of counts; sweeps of earlier versions lack the last two
CHANCES = {
    "masks": "masks",
    "shift": "shifted signals",
    "degrees": "equal degrees",
    "rotations": "rotations",
}


def results_table(
    kind: PaperTable, jobs: pd.DataFrame, scores: pd.DataFrame, templates: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Tidy table of a sweep's results, empty if no job of this kind has finished.

    Parameters
    ----------
    kind : PaperTable
        Table of the paper that the sweep repeats.
    jobs : DataFrame
        One row per job: overrides and flat metrics.
    scores : DataFrame
        One row per job, task and metric.
    templates : mapping of str to DataFrame
        Table with a row per template, of each job that measured consistency.
    """
    if kind is PaperTable.consistency:
        return _consistency(jobs, templates)
    table = _scored(scores)
    if kind is PaperTable.amplification and len(table):
        # factor 1 changes nothing: there is nothing to be uncertain of, and no effect could have been seen
        unchanged = table["factor"] == 1
        table.loc[unchanged, ["low", "high"]] = table.loc[unchanged, ["untouched", "untouched"]].to_numpy()
        table.loc[unchanged, "detectable"] = np.nan
    return table


def _scored(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per task, metric and choice of networks; intervals are of the score, not of its change."""
    if scores.empty:
        return pd.DataFrame()
    rows = scores[scores["metric"].isin(SHOWN) & (scores["intervention"] != "none")].reset_index(drop=True)
    sign = np.where(rows["higher_is_better"], 1.0, -1.0)
    table = rows[["job", "task", "metric", "networks", "neurons", "factor", "n", "chance", "value"]].copy()
    if COMPONENTS in rows and rows[COMPONENTS].notna().any():
        table["components"] = pd.to_numeric(rows[COMPONENTS]).astype("Int64")
    table["untouched"] = rows["baseline"]
    table["p_value"] = rows["p_value"]
    table["activity_ratio"] = rows["activity_ratio"]
    table["low"] = rows["baseline"] + rows["ci_low"]
    table["high"] = rows["baseline"] + rows["ci_high"]
    for control in ControlKind:
        for side in ("", "_low", "_high"):
            name = f"control_{control.value}{side}"
            table[name] = rows.get(name, np.nan)
    for name in ("detectable", "equivalent_within", "p_corrected"):
        table[name] = rows.get(name, np.nan)
    table["draws"] = _over_kinds(rows, "draws").min(axis=1)
    table["detectable_beside"] = _over_kinds(rows, "detectable").max(axis=1)
    # to differ from every kind, the largest p has to be small: an intersection-union test needs no correction
    table["p_worse"] = _over_kinds(rows, "p_harm").max(axis=1, skipna=False)
    table["p_better"] = _over_kinds(rows, "p_gain").max(axis=1, skipna=False)
    better, worse = sign * rows["delta"] > 0, sign * rows["delta"] < 0
    clear = np.sign(rows["ci_low"]) * np.sign(rows["ci_high"]) > 0
    # NaN counts as neither harm nor help
    table["harms"] = worse & clear
    table["helps"] = better & clear
    table["below_controls"] = table["p_worse"] <= SIGNIFICANT
    table["above_controls"] = table["p_better"] <= SIGNIFICANT
    table["energy"] = rows.get("energy", np.nan)
    for kind in _drawn(rows):
        table[f"control_{kind}_energy"] = rows.get(f"control_{kind}_energy", np.nan)
        table[f"p_worse_{kind}"] = rows[f"p_harm_{kind}"]
        table[f"p_better_{kind}"] = rows[f"p_gain_{kind}"]
        table[f"detectable_{kind}"] = rows[f"detectable_{kind}"]
    return table


def _drawn(rows: pd.DataFrame) -> list[ControlKind]:
    """Kinds of control that were drawn in any row."""
    return [kind for kind in BESIDE if f"draws_{kind}" in rows and rows[f"draws_{kind}"].notna().any()]


def _over_kinds(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Values of a column of each kind of control that was drawn in any row; NaN where they are unknown."""
    return rows[[f"{name}_{kind}" for kind in _drawn(rows)]].astype(float)


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
            **{
                f"chance_{null}": rows.get(f"consistency/count_total/chance_{null}", np.nan)
                for null in CHANCES
            },
            "p_value": rows["consistency/count_total/p_value"],
            **{
                name: rows.get(f"consistency/{metric}", np.nan)
                for name, metric in (
                    ("specificity", "specificity"),
                    ("specificity_chance", "specificity/chance_rotations"),
                    ("specificity_p", "specificity/p_value_rotations"),
                )
            },
            "smallest": [each.min() for each in counts],
            "largest": [each.max() for each in counts],
            "above_chance": rows["consistency/above_chance"].astype(int),
            "recurring": rows["consistency/recurring"].astype(int),
            "counts": [" ".join(map(str, each)) for each in counts],
        }
    )


def readable_table(kind: PaperTable, results: pd.DataFrame) -> pd.DataFrame:
    """Format a results table for reading: numbers as text, ranges in one cell."""
    if kind is PaperTable.consistency:
        return _readable_consistency(results)
    rows = [_readable_row(kind, row) for row in results.to_dict("records")]
    table = pd.DataFrame(rows).dropna(axis=1, how="all")
    return table.loc[:, [name for name in table if not (table[name] == "–").all()]]


def _readable_row(kind: PaperTable, row: Mapping[Hashable, Any]) -> dict[str, object]:
    verdicts = {
        PaperTable.preservation: _beside(row, bool(row["above_controls"])),
        PaperTable.amplification: _gain(row),
    }
    harmed = _beside(row, bool(row["harms"] and row["below_controls"]))
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
        "energy": "equal energy",
        "rotation": "rotated",
    }
    for control, name in names.items():
        cells[name] = value_range(row[f"control_{control}_low"], row[f"control_{control}_high"])
    cells["their activity"] = "–" if np.isnan(row["activity_ratio"]) else f"{row['activity_ratio']:.0%}"
    cells["energy of others"] = " … ".join(energies_of_others(pd.DataFrame([row]), SAME_SIZE)) or "–"
    cells["p"] = p_value(row["p_value"])
    cells["could see"] = could_see(row["detectable"])
    gain = kind in (PaperTable.preservation, PaperTable.amplification)
    cells["p, controls"] = p_value(row["p_better" if gain else "p_worse"])
    verdict = {PaperTable.preservation: "keeps more than controls", PaperTable.amplification: "gain"}
    cells[verdict.get(kind, "harm beyond controls")] = verdicts.get(kind, harmed)
    return cells


def energies_of_others(rows: pd.DataFrame, kinds: Sequence[ControlKind]) -> list[str]:
    """Energy that controls remove, as shares of what the networks' edit does, in words.

    Lowest and highest of the means of kinds and rows; one of them where they read alike, none if unknown.
    """
    names = [f"control_{kind}_energy" for kind in kinds if f"control_{kind}_energy" in rows]
    ratios = rows[names].div(rows["energy"], axis=0).to_numpy(float) if names else np.array([])
    known = ratios[np.isfinite(ratios)]
    if not known.size:
        return []
    ends = [f"{each:.2%}" if each < 0.1 else f"{each:.0%}" for each in (known.min(), known.max())]
    return list(dict.fromkeys(ends))


def _beside(row: Mapping[Hashable, Any], shown: bool) -> str:
    """Whether a result differs from controls: yes, no, or that so few draws cannot tell; ``–`` of none."""
    if np.isnan(row["draws"]):
        return "–"
    if shown:
        return "yes"
    return "too few draws" if 1 / (1 + row["draws"]) > SIGNIFICANT else "no"


def _gain(row: Mapping[Hashable, Any]) -> str:
    if row["helps"]:
        beside = _beside(row, bool(row["above_controls"]))
        return {"yes": "yes, beyond controls", "no": "yes, as controls do"}.get(beside, f"yes; {beside}")
    return "harm" if row["harms"] else "no"


def _readable_consistency(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "corpus": table["corpus"],
            "pairs": [f"{a * b:,}" for a, b in zip(table["templates"], table["individual"], strict=True)],
            "matches": [f"{each:,}" for each in table["matches"]],
            **{
                f"by chance: {name}": [number(each) for each in table[f"chance_{null}"]]
                for null, name in CHANCES.items()
            },
            "p": [number(each) for each in table["p_value"]],
            "count of each template": table["counts"],
            "templates above chance": [
                f"{above} of {all_}"
                for above, all_ in zip(table["above_chance"], table["templates"], strict=True)
            ],
            "individual networks that match any": [
                f"{a:,} of {b:,}" for a, b in zip(table["recurring"], table["individual"], strict=True)
            ],
        }
    )


def short_name(task: object) -> str:
    """Name of a task without the prefix of its benchmark."""
    return str(task).removeprefix("fbn_").removeprefix("classification_")


def number(value: object) -> str:
    """Format a number for reading: three digits, no minus before a zero, ``–`` for NaN."""
    real = float(value)  # type: ignore[arg-type]
    if np.isnan(real):
        return "–"
    return f"{real:z.3f}" if abs(real) < 10 else f"{real:,.1f}"


def could_see(effect: float) -> str:
    """Format an effect that could have been seen: ``none`` where no effect could, ``–`` for NaN."""
    return "none" if np.isinf(effect) else number(effect)


def p_value(value: float) -> str:
    """Format a p value for reading, ``–`` for NaN."""
    return "–" if np.isnan(value) else "< .001" if value < 0.001 else f"{value:.3f}"


def value_range(low: object, high: object) -> str:
    """Format the range of a control's draws: lowest … highest."""
    bounds = number(low), number(high)
    return bounds[0] if bounds[0] == bounds[1] else " … ".join(bounds)


def markdown(table: pd.DataFrame) -> str:
    """Format a table as GitHub markdown, numbers aligned to the right."""
    words = [bool(table[name].map(_is_words).any()) for name in table]
    # tabulate cannot align the columns of a table without rows
    aligned: dict[str, Any] = (
        {} if table.empty else {"colalign": ["left" if each else "right" for each in words]}
    )
    cells = table.map(_cell).set_axis([_cell(name) for name in table], axis=1)
    return cells.to_markdown(index=False, disable_numparse=True, **aligned)


def _is_words(value: object) -> bool:
    # a link or emphasis may come first
    return isinstance(value, str) and value.lstrip("[*`")[:1].isalpha()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}" if not np.isnan(value) else "–"
    # a text that a model wrote may have breaks of any kind, a vertical tab for one
    return " ".join(str(value).replace("|", "\\|").splitlines())
