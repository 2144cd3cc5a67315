"""Present keystones as numbers, tables, a picture and words."""

import numpy as np
import pandas as pd

from fbn_exp.analysis.keystones.analysis import Keystone, KeystoneFindings
from fbn_exp.analysis.keystones.firing import KINDS, Neuron
from fbn_exp.report.figures.keystones import keystones_figure
from fbn_exp.report.presentation import ROWS, Presentation, present

# neurons listed where none is a keystone
COSTLIEST = 5
TOKENS = 3
# a keystone that keeps less than this share of its energy without another one depends on it
MOST_LOST = 0.5


@present.register
def present_keystones(findings: KeystoneFindings) -> Presentation:
    """Present keystones."""
    table = _table(findings)
    tables = {"keystones": table}
    if findings.keystones:
        tables["keystone_energy"] = _energy_table(findings)
    if findings.attention is not None:
        tables["keystone_attention"] = _attention_table(findings)
    shown = table[table["keystone"]] if findings.keystones else table
    return Presentation(
        metrics=_metrics(findings),
        tables=tables,
        figures={"keystones": lambda: keystones_figure(findings)},
        title=_title(findings),
        rows=_rows(shown.head(ROWS if findings.keystones else COSTLIEST), findings),
        words=("fires at", "strongest at", "networks"),
        lines=_lines(findings),
        remarks=_remarks(findings),
    )


def place_of(findings: KeystoneFindings, neuron: Neuron) -> str:
    """Block and index in it, such as ``11:507``."""
    block, index = findings.scan.layout.locate(neuron.column)
    return f"{block}:{index}"


def _metrics(findings: KeystoneFindings) -> dict[str, float]:
    scan, held = findings.scan, findings.keystones
    metrics = {
        "keystones/count": float(len(held)),
        "keystones/scanned": float(len(scan.neurons)),
        "keystones/largest_nats": float(np.max(scan.nats)),
        "keystones/together_nats": findings.together,
        "keystones/untouched_nats": float(scan.untouched.sum() / scan.predicted.sum()),
        "keystones/at_first_token": float(_at_first(findings)),
        "keystones/energy_share": sum(each.neuron.energy for each in held) / max(scan.energies.total, 1e-300),
    }
    if findings.attention is not None and findings.attention_together is not None:
        metrics["keystones/attention"] = float(findings.attention.mean())
        metrics["keystones/attention_together"] = float(findings.attention_together.mean())
    for each in held:
        name = f"keystones/{place_of(findings, each.neuron).replace(':', '/')}"
        metrics |= {
            f"{name}/nats": each.nats,
            f"{name}/nats_first": each.nats_first,
            f"{name}/nats_others": each.nats_others,
        }
        if each.attention is not None:
            metrics[f"{name}/attention"] = float(each.attention.mean())
    for network in range(len(findings.members)):
        metrics[f"network/{network}/keystones"] = float(sum(network in each.networks for each in held))
    return metrics


def _at_first(findings: KeystoneFindings) -> int:
    """Number of keystones whose removal costs more at first tokens than at all others."""
    return sum(each.nats_first > each.nats_others for each in findings.keystones)


def _table(findings: KeystoneFindings) -> pd.DataFrame:
    """Table of all scanned neurons, the costliest first."""
    scan, held = findings.scan, {each.neuron.column: each for each in findings.keystones}
    rows = []
    for rank, neuron in enumerate(scan.neurons):
        block, index = scan.layout.locate(neuron.column)
        rows.append(
            {
                "block": block,
                "index": index,
                "neuron": neuron.column,
                "nats": scan.nats[rank],
                "standard_error": scan.standard_error[rank],
                "keystone": neuron.column in held,
                **_of_keystone(held.get(neuron.column)),
                "energy": neuron.energy,
                "energy_rank": rank + 1,
                "energy_share": neuron.energy / max(scan.energies.total, 1e-300),
                **{f"energy_{kind.replace(' ', '_')}": neuron.shares[kind] for kind in KINDS},
                "fires_at": neuron.fires_at,
                "networks": " ".join(map(str, np.flatnonzero(findings.members[:, rank]))),
                "strongest_tokens": " ".join(
                    f"{token.token!r}@{token.position}={token.activation:.4g}" for token in neuron.strongest
                ),
            }
        )
    table = pd.DataFrame(rows)
    # a loss that is not a number is the worst
    return table.sort_values("nats", ascending=False, kind="stable", na_position="first", ignore_index=True)


def _of_keystone(keystone: Keystone | None) -> dict[str, float]:
    if keystone is None:
        return dict.fromkeys(("nats_first", "nats_others", "attention"), np.nan)
    attention = np.nan if keystone.attention is None else float(keystone.attention.mean())
    return {
        "nats_first": keystone.nats_first,
        "nats_others": keystone.nats_others,
        "attention": attention,
    }


def _attention_table(findings: KeystoneFindings) -> pd.DataFrame:
    columns = {"untouched": findings.attention, "without_all": findings.attention_together}
    columns |= {f"without_{place_of(findings, each.neuron)}": each.attention for each in findings.keystones}
    table = pd.DataFrame(columns)
    table.insert(0, "layer", range(len(table)))
    return table


def _energy_table(findings: KeystoneFindings) -> pd.DataFrame:
    """Share of its energy that each keystone (columns) keeps without each other one (rows)."""
    names = [place_of(findings, each.neuron) for each in findings.keystones]
    return pd.DataFrame(findings.energy_left, columns=names).assign(without=names)[["without", *names]]


def _drivers(findings: KeystoneFindings) -> list[str]:
    """Say which keystones lose most of their energy without another one."""
    names = [place_of(findings, each.neuron) for each in findings.keystones]
    return [
        f"{other} without {name} ({findings.energy_left[row, column]:.2g})"
        for row, name in enumerate(names)
        for column, other in enumerate(names)
        if row != column and findings.energy_left[row, column] < MOST_LOST
    ]


def _rows(table: pd.DataFrame, findings: KeystoneFindings) -> pd.DataFrame:
    neurons = {neuron.column: neuron for neuron in findings.scan.neurons}
    rows = {
        "neuron": [f"{block}:{index}" for block, index in zip(table["block"], table["index"], strict=True)],
        "alone, nats": [
            f"{nats:+.2f} ± {error:.2f}"
            for nats, error in zip(table["nats"], table["standard_error"], strict=True)
        ],
    }
    if findings.keystones:
        rows["at first tokens"] = [f"{nats:+.2f}" for nats in table["nats_first"]]
        rows["at others"] = [f"{nats:+.2f}" for nats in table["nats_others"]]
    if findings.keystones and findings.attention is not None:
        rows["attention"] = [f"{weight:.0%}" for weight in table["attention"]]
    return pd.DataFrame(
        {
            **rows,
            "energy": [f"{energy:.2g}" for energy in table["energy"]],
            "rank": table["energy_rank"].astype(str),
            "fires at": [_fires(neurons[column]) for column in table["neuron"]],
            "strongest at": [
                " ".join(repr(each.token) for each in neurons[column].strongest[:TOKENS])
                for column in table["neuron"]
            ],
            "networks": table["networks"].replace("", "–"),
        }
    )


def _fires(neuron: Neuron) -> str:
    share = neuron.shares.get(neuron.fires_at)
    return neuron.fires_at if share is None else f"{neuron.fires_at} ({share:.0%})"


def _title(findings: KeystoneFindings) -> str:
    scan, count = findings.scan, len(findings.keystones)
    if count == 0:
        listed = min(COSTLIEST, len(scan.neurons))
        return f"The {listed} costliest of {len(scan.neurons)} neurons; none is a keystone"
    more = f", the first {ROWS} of {count}" if count > ROWS else ""
    return f"Keystones: removal costs above {findings.minimum_nats:g} nats per token{more}"


def _lines(findings: KeystoneFindings) -> list[str]:
    scan, held = findings.scan, findings.keystones
    tokens = int(scan.predicted.sum()) + len(scan.predicted)
    untouched = scan.untouched.sum() / scan.predicted.sum()
    share = sum(each.neuron.energy for each in held) / max(scan.energies.total, 1e-300)
    lines = [
        f"{len(held)} of the {len(scan.neurons)} neurons of largest energy cost more than "
        f"{findings.minimum_nats:g} nats per token alone ({tokens:,} tokens of {scan.source}, untouched "
        f"{untouched:.2f} nats)."
    ]
    if held:
        first = _at_first(findings)
        lines.append(
            f"Together they hold {share:.1%} of the energy of all {scan.layout.n_neurons:,} neurons, and "
            f"cost {findings.together:.2f} nats. {first} cost more at first tokens than at all others, "
            f"{len(held) - first} less."
        )
        inside = [sum(network in each.networks for each in held) for network in range(len(findings.members))]
        holding = [f"{network} ({count})" for network, count in enumerate(inside) if count]
        lines.append(
            f"Networks that hold some ({findings.threshold}): {', '.join(holding) or 'none'}; "
            f"keystones in no network: {sum(not each.networks for each in held)}."
        )
    if driven := _drivers(findings):
        lines.append(f"Keystones that keep less than half of their energy: {', '.join(driven)}.")
    if findings.attention is not None and findings.attention_together is not None and held:
        lines.append(
            f"Attention to the first token, mean over layers, heads and later tokens: "
            f"{findings.attention.mean():.1%}, {findings.attention_together.mean():.1%} without all of them."
        )
    return lines


def _remarks(findings: KeystoneFindings) -> list[str]:
    said = []
    if findings.attention is None:
        said.append(
            "The model returns no attention weights: how attention to the first token changes is not known."
        )
    half = len(findings.scan.neurons) // 2
    if last := sum(findings.scan.neurons.index(each.neuron) >= half for each in findings.keystones):
        said.append(
            f"Keystones in the half of least energy that was scanned: {last}. Neurons of less energy "
            "may be keystones too, raise analysis.n_neurons."
        )
    return said
