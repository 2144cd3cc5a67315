"""Tables of the verdicts: the experiments that decide, and the paper's claims by topic."""

from collections.abc import Mapping, Sequence

import pandas as pd
from page import folded
from results import Results
from verdicts import Judged
from wording import TOPICS, linked, networks_of, topic_of, whole_claim, without_model

from fbn_exp.experiments.paper.tables import markdown

NOT_RUN = "not run"
# experiments that decide: question, and the prediction that could have failed
DECISIVE = {
    "sink": (
        "**A. Do lesions of all networks break a function, or the attention sink?** Prediction, if it is a "
        "function: most of the harm stays when the sink is left alone in one of three ways, the remedies: "
        "keystones left out of the lesion, the first token spared, neurons set to their mean by position in "
        "place of 0."
    ),
    "ica": (
        "**B. Are directions that ICA finds more selective for tasks than others of the same subspace?** "
        "Prediction, if they are: taking one out changes single tasks, beyond a loss that all have alike, "
        "more than taking out a direction of a random rotation with as much energy does."
    ),
    "enough": (
        "**C. Are the neurons of networks enough for a task?** Prediction, which is the paper's claim: with "
        "every other neuron at 0 a fine-tuned classifier keeps its task, and it does not with no neuron or "
        "with as many others."
    ),
    "share": (
        "**C. Do networks harm a task more than 15% of all neurons do?** Prediction, which is the paper's "
        "claim: a lesion of all networks does more harm than one of 15% of all neurons at random, also if "
        "these may be members of networks."
    ),
}


def claims(found: Mapping[Results, Sequence[Judged]]) -> str:
    """Tables with a row per experiment or claim and a column per model; rules are folded below.

    Parameters
    ----------
    found : mapping of Results to sequence of Judged
        Verdicts for each model.
    """
    parts = [_decisive(list(found))]
    parts += [_topic(topic, found) for topic in TOPICS]
    tables = "\n".join(part for part in parts if part)
    return f"{tables}\n{_rules(found)}" if tables else "No step was run to its end.\n"


def _decisive(of_models: Sequence[Results]) -> str:
    rows = [
        {
            "question and prediction": words,
            "networks": networks_of(step),
            **{
                results.model.name: linked(without_model(results.decided(step)["Outcome"]), step)
                if results.has(step)
                else NOT_RUN
                for results in of_models
            },
        }
        for step, words in DECISIVE.items()
        if any(results.has(step) for results in of_models)
    ]
    return f"**Experiments that decide**\n\n{markdown(pd.DataFrame(rows))}\n" if rows else ""


def _topic(topic: str, found: Mapping[Results, Sequence[Judged]]) -> str:
    """Table of the claims of a topic, in the order in which they were judged; empty if none was."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for results, every in found.items():
        for each in every:
            if topic_of(each.step) == topic:
                row = whole_claim(each.finding.claim), networks_of(each.step)
                said = linked(without_model(each.finding.verdict), each.step)
                rows.setdefault(row, {})[results.model.name] = said
    if not rows:
        return ""
    names = [results.model.name for results in found]
    table = [
        {"claim": claim, "networks": networks, **{name: said.get(name, NOT_RUN) for name in names}}
        for (claim, networks), said in rows.items()
    ]
    return f"**{topic}**\n\n{markdown(pd.DataFrame(table))}\n"


def _rules(found: Mapping[Results, Sequence[Judged]]) -> str:
    rows = {whole_claim(each.finding.claim): each.finding.rule for every in found.values() for each in every}
    table = pd.DataFrame(list(rows.items()), columns=["claim", "reproduced if"])
    return folded("Rules of the verdicts on the paper's claims", table) if rows else ""
