"""The paper's tables and ours, one beside the other."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from results import Results

from fbn_exp.experiments.config import PaperTable
from fbn_exp.experiments.paper.published import (
    CAPTIONS,
    CONSISTENCY,
    LESION,
    LESION_SINGLE,
    PRESERVATION,
)
from fbn_exp.experiments.paper.rules import one_metric_per_task, task_in_words
from fbn_exp.experiments.paper.tables import markdown, number, p_value, value_range

PAPER = "the paper: GPT-2, fine-tuned"


def side_by_side(of_models: Sequence[Results]) -> str:
    """Tables of the paper with the figures of the paper and of each model that was run.

    Parameters
    ----------
    of_models : sequence of Results
        Results of each model.
    """
    parts = [
        ("Networks that recur in single texts", PaperTable.consistency, _consistency(of_models)),
        ("All networks at 0", PaperTable.lesion, _lesion(of_models)),
        ("One network at a time at 0", PaperTable.lesion_single, _single(of_models)),
        ("All else at 0", PaperTable.preservation, _preservation(of_models)),
    ]
    tables = "\n".join(
        f"### {title}\n\n{CAPTIONS[kind]}.\n\n{markdown(table)}\n" for title, kind, table in parts
    )
    return (
        "## The paper's tables beside ours\n\n"
        "Losses are nats per token of Wikipedia (smaller is better), all else is accuracy. Networks are raw "
        "ones, unless a row says z-scored. The paper gives neither chance levels nor intervals.\n\n"
        f"{tables}\n{CAPTIONS[PaperTable.amplification]}\n"
        f"{CAPTIONS[PaperTable.generation]}\n"
    )


def _consistency(of_models: Sequence[Results]) -> pd.DataFrame:
    published = CONSISTENCY.set_axis(["model", "largest", "chance"], axis=1)
    rows = [
        {
            "model": f"the paper: {row.model}",
            "signals, corpus": "raw, four corpora",
            "largest count of a template; mean": f"{row.largest}; not given",
            "of": "1,000",
            "by chance: masks; rotations (mean of a template)": row.chance,
            "p of all matches": "not given",
        }
        for row in published.itertuples()
    ]
    for results in of_models:
        for step, signals in (("consistency", "raw"), ("consistency_stable", "z-scored")):
            if results.has(step):
                rows += [_recurring(results, signals, row) for row in results.paper(step).to_dict("records")]
    return pd.DataFrame(rows)


def _recurring(results: Results, signals: str, row: Any) -> dict[str, str]:
    by_chance = [number(row[f"chance_{null}"] / row["templates"]) for null in ("masks", "rotations")]
    return {
        "model": results.model.name,
        "signals, corpus": f"{signals}, {row['corpus']}",
        "largest count of a template; mean": f"{row['largest']}; {number(row['matches'] / row['templates'])}",
        "of": f"{row['individual']:,}",
        "by chance: masks; rotations (mean of a template)": "; ".join(by_chance),
        "p of all matches": p_value(row["p_value"]),
    }


def _lesion(of_models: Sequence[Results]) -> pd.DataFrame:
    rows = [
        {
            "model": PAPER,
            "task": row.task,
            "untouched": number(row.untouched),
            "15% at random": number(row.share),
            "networks": number(row.networks),
        }
        for row in LESION.set_axis(["task", "untouched", "share", "networks"], axis=1).itertuples()
    ]
    for results in of_models:
        for steps, state in (
            (("lesion", "lesion_tasks"), ""),
            (("lesion_stable",), ", z-scored networks"),
            (("tuned_lesion",), ", fine-tuned"),
        ):
            done = [step for step in steps if results.has(step)]
            if done:
                of_step = one_metric_per_task(results.paper(*done)).to_dict("records")
                rows += [_lesioned(f"{results.model.name}{state}", row) for row in of_step]
    return pd.DataFrame(rows).fillna("–")


def _lesioned(model: str, row: Any) -> dict[str, str]:
    return {
        "model": model,
        "task": task_in_words(row["task"]),
        "untouched": number(row["untouched"]),
        "15% at random": value_range(row["control_share_low"], row["control_share_high"]),
        "networks": f"{number(row['value'])} ({number(row['low'])} … {number(row['high'])})",
        "neurons": f"{row['neurons']:,}",
        "nearest in activity": value_range(row["control_activation_low"], row["control_activation_high"]),
        "rotations": value_range(row["control_rotation_low"], row["control_rotation_high"]),
        "p, controls": p_value(row["p_worse"]),
    }


def _single(of_models: Sequence[Results]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "network": LESION_SINGLE["network"].astype(str),
            "the paper, AGNews (.861)": [
                f"{row.neurons}: {number(row.accuracy)}" for row in LESION_SINGLE.itertuples()
            ],
        }
    ).set_index("network")
    for results in of_models:
        for step, state in (("lesion_single", "loss"), ("tuned_lesion_single", "tweets, fine-tuned")):
            if not results.has(step):
                continue
            rows = one_metric_per_task(results.paper(step))
            name = f"{results.model.name}, {state} ({number(rows['untouched'].iloc[0])})"
            cells = {str(row.networks): f"{row.neurons}: {number(row.value)}" for row in rows.itertuples()}
            table[name] = table.index.map(cells.get)
    return table.fillna("–").rename_axis("network: neurons, score").reset_index()


def _preservation(of_models: Sequence[Results]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "networks": PRESERVATION["networks"],
            "the paper, AGNews (.861)": [
                f"{kept:,} of 9,216: {number(accuracy)}"
                for kept, accuracy in zip(PRESERVATION["neurons kept"], PRESERVATION["accuracy"], strict=True)
            ],
        }
    ).set_index("networks")
    for results in of_models:
        if results.has("preservation"):
            rows = one_metric_per_task(results.paper("preservation"))
            total = results.n_neurons() if results.has("networks") else None
            of = f" of {total:,}" if total else ""
            name = f"{results.model.name}, loss ({number(rows['untouched'].iloc[0])})"
            cells = {
                int(row.components): f"{row.neurons:,}{of}: {number(row.value)}" for row in rows.itertuples()
            }
            table[name] = table.index.map(cells.get)
    return table.fillna("–").rename_axis("networks: neurons kept, score").reset_index()
