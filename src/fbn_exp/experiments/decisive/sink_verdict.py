"""Rule on the sink: what goes with keystones, with the first token and with a mean by position."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fbn_exp.experiments.decisive.config import SinkConfig
from fbn_exp.experiments.decisive.verdict import Verdict
from fbn_exp.experiments.paper.rules import not_reproduced
from fbn_exp.experiments.paper.tables import could_see, number, p_value

Row = Mapping[Hashable, Any]
# columns that the console has no room for
PAGE_ONLY = ("energy", "gone, by it", "draws")
# judgement of a remedy, from the interval of the share that goes
GOES, STAYS, OPEN = "goes", "stays", "is undecided"
WORDS = {
    "members": {
        "all": "all members",
        "keystones": "keystones",
        "without_keystones": "members without keystones",
    },
    "fill": {"zero": "zero", "position_mean": "mean by position", "resample": "resample", "mean": "mean"},
    "tokens": {"all": "all tokens", "first_spared": "first token spared", "first_only": "first token only"},
}


def judged(config: SinkConfig, row: Row) -> str:
    """Whether the claim's excess harm goes with a remedy, stays, or neither is shown."""
    if row["gone_low"] >= config.share:
        return GOES
    return STAYS if row["gone_high"] < config.share else OPEN


def sink_verdict(config: SinkConfig, table: pd.DataFrame, model: str) -> Verdict:
    """Judge by the rule of the config, on the first endpoint; the second one is said beside it.

    Parameters
    ----------
    config : SinkConfig
        The rule.
    table : DataFrame
        Result of ``sink_table``.
    model : str
        Name of the model.
    """
    rows = {(row["metric"], row["lesion"]): row for row in table.to_dict("records")}
    claim = rows[config.endpoint, config.claim]
    remedies = [rows.get((config.endpoint, each)) for each in config.remedies]
    known = [row for row in remedies if row is not None]
    if len(known) < len(remedies):
        return Verdict(f"Undecided on {model}: jobs of remedies are missing.", (_claimed(config, claim),))
    if not claim["p_harm"] <= config.alpha:
        return Verdict(
            f"There is nothing to explain: harm beyond {config.control} neurons is "
            f"{not_reproduced(model, [claim['detectable']])}.",
            (_claimed(config, claim),),
        )
    applied = [row for row in known if not same_lesion(row, claim)]
    found = [judged(config, row) for row in applied]
    numbers = [_claimed(config, claim)]
    numbers += [_same_words(row) if same_lesion(row, claim) else _remedied(config, row) for row in known]
    second = [rows.get((config.second_endpoint, row["lesion"])) for row in applied]
    agree = [judged(config, row) for row in second if row is not None]
    numbers.append(f"By {config.second_endpoint}: {_by(config, second, agree, found)}.")
    numbers += [_beside_it(config, rows[key]) for key in rows if _is_beside(config, *key)]
    return Verdict(_outcome(config, applied, found, model), tuple(numbers))


def same_lesion(row: Row, claim: Row) -> bool:
    """Whether a remedy leaves the lesion as it is: other members are asked for, and there are none."""
    alike = row["lesion"].split("/")[1:] == claim["lesion"].split("/")[1:]
    return bool(alike and row["neurons"] == claim["neurons"])


def _same_words(row: Row) -> str:
    return f"{', '.join(changed(row['lesion'])).capitalize()}: the same lesion, of which nothing can go."


def _is_beside(config: SinkConfig, metric: str, lesion: str) -> bool:
    """Whether a lesion of all members at all tokens, with another fill, is no remedy that is judged."""
    members, _, tokens = lesion.split("/")
    other = lesion not in (config.claim, *config.remedies)
    return other and metric == config.endpoint and (members, tokens) == ("all", "all")


def _beside_it(config: SinkConfig, row: Row) -> str:
    words = ", ".join(changed(row["lesion"])).capitalize()
    share = f"{row['gone']:.0%} ({row['gone_low']:.0%} … {row['gone_high']:.0%}) of the excess goes"
    draws = row[f"{config.control}_draws"]
    return f"Not judged: {words}: {share} ({draws:.0f} draws); energy {row['energy']:.3g}."


def _outcome(config: SinkConfig, applied: Sequence[Row], found: list[str], model: str) -> str:
    if not found:
        return f"Undecided on {model}: no remedy changes the lesion."
    names = [", ".join(changed(row["lesion"])) for row in applied]
    by = {
        what: [name for name, each in zip(names, found, strict=True) if each == what]
        for what in (GOES, STAYS, OPEN)
    }
    most = f"{config.share:.0%} or more of the excess harm"
    if len(by[GOES]) == len(found):
        return f"The prediction failed: on {model} the claim is about the sink, {most} goes with each remedy."
    if len(by[STAYS]) == len(found):
        return f"The prediction held: on {model} the claim is not about the sink, with no remedy {most} goes."
    said = {GOES: f"{most} goes with", STAYS: "less goes with", OPEN: "it is undecided for"}
    parts = [f"{words} {' and with '.join(by[what])}" for what, words in said.items() if by[what]]
    verdict = "failed in part" if by[GOES] else "was not shown throughout"
    return f"The prediction {verdict} on {model}: {'; '.join(parts)}."


def _claimed(config: SinkConfig, row: Row) -> str:
    return (
        f"{_in_words(row['lesion']).capitalize()}: {config.endpoint} {number(row['value'])} "
        f"({number(row['low'])} … {number(row['high'])}), {config.control} neurons "
        f"{number(row[f'{config.control}_mean'])}, excess {number(row['excess'])} "
        f"({number(row['excess_low'])} … {number(row['excess_high'])}), p = {p_value(row['p_harm'])} among "
        f"{row[f'{config.control}_draws']:.0f} draws."
    )


def _remedied(config: SinkConfig, row: Row) -> str:
    share = f"{row['gone']:.0%} ({row['gone_low']:.0%} … {row['gone_high']:.0%}) of the excess goes"
    corrected = row["p_corrected"]
    if row["equivalent_within"] <= config.equivalent:
        within = number(row["equivalent_within"])
        left = f"what is left lies within {within} nats of the draws: no harm of its own"
    elif corrected <= config.alpha:
        left = f"what is left, {number(row['excess'])}, exceeds the draws (p = {p_value(corrected)}, max-T)"
    else:
        left = (
            f"what is left, {number(row['excess'])}, is not shown to exceed the draws "
            f"(p = {p_value(corrected)}, max-T; {_size(row['detectable'])} could have been seen)"
        )
    if row["energy_draws"] > 0:
        energy = f"{number(row['energy_mean'])}, p = {p_value(row['energy_p'])}"
        left += f"; other neurons of equal energy: {energy}"
    return f"{', '.join(changed(row['lesion'])).capitalize()}: {share}; {left}."


def _by(config: SinkConfig, rows: Sequence[Row | None], agree: list[str], found: list[str]) -> str:
    shares = [f"{row['gone']:.0%}" for row in rows if row is not None]
    if len(shares) < len(found):
        return "not measured"
    same = sum(a == b for a, b in zip(agree, found, strict=True))
    return f"{', '.join(shares)} go in the same order, judged alike in {same} of {len(found)}"


def changed(lesion: str) -> list[str]:
    """What a lesion changes against all members set to 0 at all tokens, in words."""
    usual = dict(zip(WORDS, ("all", "zero", "all"), strict=True))
    parts = dict(zip(WORDS, lesion.split("/"), strict=True))
    return [WORDS[name][part] for name, part in parts.items() if part != usual[name]]


def _in_words(lesion: str) -> str:
    """Lesion in words."""
    parts = zip(WORDS.values(), lesion.split("/"), strict=True)
    return ", ".join(names[part] for names, part in parts)


def _size(value: float) -> str:
    if np.isinf(value):
        return "no size"
    return "unknown size" if np.isnan(value) else f"{value:.2g} nats"


def readable(config: SinkConfig, table: pd.DataFrame) -> pd.DataFrame:
    """Table for reading: a row per lesion, the first endpoint with its controls, the second beside it."""
    first = table[table["metric"] == config.endpoint].set_index("lesion")
    second = table[table["metric"] == config.second_endpoint].set_index("lesion")
    rows = []
    for (lesion, row), (_, other) in zip(first.iterrows(), second.iterrows(), strict=True):
        rows.append(
            {
                "members set to a fill, at tokens": _in_words(str(lesion)),
                "neurons": f"{row['neurons']:,.0f}",
                "energy": f"{row['energy']:.2g}",
                config.endpoint: f"{number(row['value'])} ({number(row['low'])} … {number(row['high'])})",
                f"{config.control} (p)": _beside(row, config.control.value),
                "could see": could_see(row["detectable"]),
                "equal energy (p)": _beside(row, "energy"),
                "noise": number(row["noise_mean"]),
                "excess gone": "claim" if lesion == config.claim else _share(row),
                config.second_endpoint: f"{number(other['baseline'])} → {number(other['value'])}",
                "gone, by it": "claim" if lesion == config.claim else _share(other),
                "draws": _count(row[f"{config.control}_draws"]),
            }
        )
    return pd.DataFrame(rows)


def _count(draws: float) -> str:
    return "–" if np.isnan(draws) else f"{draws:.0f}"


def _share(row: "pd.Series[Any]") -> str:
    if np.isnan(row["gone"]):
        return "–"
    return f"{row['gone']:.0%} ({row['gone_low']:.0%} … {row['gone_high']:.0%})"


def _beside(row: "pd.Series[Any]", kind: str) -> str:
    if np.isnan(row[f"{kind}_mean"]):
        return "–"
    return f"{number(row[f'{kind}_mean'])} ({p_value(row[f'{kind}_p'])})"
