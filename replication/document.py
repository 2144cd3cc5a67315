"""Write the document about a replication: claim by claim, then every table with its command and data."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from page import Places, folded, narrow
from results import Results
from sections import not_run, section
from side_by_side import side_by_side
from step import MODELS
from steps import STEPS
from verdicts import judged

from fbn_exp.experiments.paper.tables import markdown

HERE = Path(__file__).parent
QUICK = (
    "This quick variant shows that every step runs; its items and updates are too few to judge a claim by.\n"
)
NOT_RUN = "not run"
# experiments that decide, with the claim that each puts to the test
DECISIVE = {
    "sink": "A. Lesions of networks break functions, not the attention sink.",
    "ica": "B. Directions of ICA are more selective for tasks than rotations of them.",
    "enough": "C. The neurons of networks are enough for a task; no or other neurons are not.",
    "share": "C. A lesion of the networks harms a classifier more than one of 15% of all neurons.",
}


def write_document(folder: Path, file: Path, quick: bool = False, overrides: Sequence[str] = ()) -> None:
    """Write the results of the steps in a folder, and copy their tables and pictures beside the document.

    Parameters
    ----------
    folder : Path
        Folder of the runs of all models; steps that are not there are named as not run.
    file : Path
        Path of the document.
    quick : bool
        True for the steps of the quick variant.
    overrides : sequence of str
        Overrides that were added to every step.
    """
    of_models = [Results(folder / model.option, model) for model in MODELS.values()]
    places = Places(file)
    for place in (places.pictures, places.data):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    steps = [step for step in STEPS if not (quick and step.quick is None)]
    parts = [_head(of_models, quick, overrides), *([QUICK] if quick else [])]
    parts += [side_by_side(of_models), "## Every step\n"]
    for step in steps:
        ran = [results for results in of_models if results.has(step.name)]
        if ran:
            parts.append(section(step, ran, places))
    parts.append(not_run(steps, of_models, quick))
    if not quick and not overrides:
        parts.append((HERE / "measured.md").read_text(encoding="utf-8"))
    file.write_text(narrow("\n".join(part for part in parts if part)), encoding="utf-8")


def _head(of_models: Sequence[Results], quick: bool, overrides: Sequence[str]) -> str:
    command = "make paper-quick" if quick else "make paper"
    made = f"Made by `{command}`{' with ' + ' '.join(overrides) if overrides else ''}"
    times = []
    for results in of_models:
        done = [step for step in STEPS if results.has(step.name)]
        minutes = sum(results.seconds(step.name) for step in done) / 60
        times.append(f"{len(done)} of {len(STEPS)} steps on {results.model.name} in {minutes:.0f} minutes")
    return (
        (HERE / "head.md")
        .read_text(encoding="utf-8")
        .format(
            models=" and ".join(map(_in_words, of_models)),
            made=f"{made}: {', '.join(times)}, on two processor cores that other work may have shared.",
            claims=_claims(of_models),
        )
    )


def _in_words(results: Results) -> str:
    neurons = results.n_neurons()
    return results.model.name + (f" ({neurons:,} MLP-output neurons)" if neurons else "")


def _claims(of_models: Sequence[Results]) -> str:
    """Table with a row per claim and a column per model; rules and numbers folded below."""
    found = {results.model.name: judged(results) for results in of_models}
    claims = dict.fromkeys(each.finding.claim for every in found.values() for each in every)
    verdicts = {
        name: {each.finding.claim: f"{each.finding.verdict} ([{each.step}](#{each.step}))" for each in every}
        for name, every in found.items()
    }
    rows = [
        {"claim": claim, **{name: said.get(claim, NOT_RUN) for name, said in verdicts.items()}}
        for claim in claims
    ]
    for step, claim in DECISIVE.items():
        outcomes = {
            results.model.name: (
                f"{results.decided(step)['Outcome']} ([{step}](#{step}))" if results.has(step) else NOT_RUN
            )
            for results in of_models
        }
        if any(outcome != NOT_RUN for outcome in outcomes.values()):
            rows.append({"claim": claim, **outcomes})
    details = [
        {
            "claim": each.finding.claim,
            "model": name,
            "rule": each.finding.rule,
            "numbers": each.finding.numbers,
        }
        for claim in claims
        for name, every in found.items()
        for each in every
        if each.finding.claim == claim
    ]
    if not rows:
        return "No step was run to its end.\n"
    table = markdown(pd.DataFrame(rows))
    rules = folded("Rules and numbers", pd.DataFrame(details)) if details else ""
    return f"{table}\n\n{rules}"
