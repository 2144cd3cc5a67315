"""Write the document about a replication: claim by claim, then every table with its command and picture."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from claims import Finding, all_findings
from results import Results
from steps import STEPS, Step

from fbn_exp.experiments.paper.tables import markdown

# tables of more rows are folded
LONG = 14
HEAD = Path(__file__).parent / "head.md"
QUICK = (
    "This quick variant shows that every step runs; its items and updates are too few to judge a claim by.\n"
)
TITLES = {
    "consistency": "Recurring networks",
    "consistency_stable": "Recurring networks, signals=stable",
    "lesion": "Lesions of all networks, base model",
    "lesion_rotation": "Lesions of all networks, base model, a random rotation instead of ICA",
    "lesion_stable": "Lesions of all networks, base model, signals=stable",
    "lesion_single": "Lesions of one network at a time, base model",
    "preservation": "Preservation, base model",
    "amplification": "Amplification, base model",
    "generation": "Generated texts",
    "train": "The fine-tuned classifier",
    "tuned_consistency": "Recurring networks, fine-tuned classifier",
    "tuned_lesion": "Lesions of all networks, fine-tuned classifier",
    "tuned_lesion_single": "Lesions of one network at a time, fine-tuned classifier",
    "tuned_preservation": "Preservation, fine-tuned classifier",
    "tuned_amplification": "Amplification, fine-tuned classifier",
    "tuned_overlap": "Networks before and after fine-tuning",
    "forgetting": "Training inside and outside networks: what is forgotten",
}


def write_document(folder: Path, file: Path, quick: bool, overrides: Sequence[str] = ()) -> None:
    """Write the results of the steps in a folder, and copy their pictures beside the document.

    Parameters
    ----------
    folder, file : Path
        Folder of all steps, and path of the document.
    quick : bool
        True for the steps of the quick variant.
    overrides : sequence of str
        Overrides that were added to every step, such as another model.
    """
    results = Results(folder)
    done = [step for step in STEPS if results.has(step.name)]
    pictures = file.parent / "images" / "replication"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    n_neurons = _n_neurons(folder)
    minutes = sum(results.seconds(step.name) for step in done) / 60
    made = "make paper-quick" if quick else "make paper"
    if overrides:
        made += f" with {' '.join(overrides)}"
    head = HEAD.read_text(encoding="utf-8").format(
        made=made,
        minutes=minutes,
        model="the one of these overrides" if overrides else "SmolLM2-135M-Instruct",
        n_neurons=f"{n_neurons:,}",
    )
    parts = [head, *([QUICK] if quick else []), _claims(all_findings(results, n_neurons))]
    if results.has("networks") and "method/gradient" in results.metrics("networks"):
        parts.append(_convergence(results.metrics("networks")))
    missing = [step.name for step in STEPS if step not in done and (step.in_quick or not quick)]
    if missing:
        parts.append(f"Steps that were not run for this document: {', '.join(missing)}.\n")
    parts += [_section(results, step, pictures) for step in done if step.name in TITLES]
    file.write_text("\n".join(parts), encoding="utf-8")


def _convergence(metrics: Mapping[str, float]) -> str:
    """Sentence on the convergence of ICA on the base model's signals."""
    starts, converged, best, gradient = (
        metrics[f"method/{name}"] for name in ("starts", "starts_converged", "starts_at_best", "gradient")
    )
    return (
        f"ICA of the base model's signals: {converged:.0f} of {starts:.0f} starts converged, {best:.0f} of "
        f"them to the optimum that was kept (gradient {gradient:.1g}). The experiments of the paper use its "
        "own FastICA, one start of at most 200 iterations, which need not converge: most of its networks "
        "hold other neurons on another machine or from another start, and what is said of a single one is "
        "said of that run ([results.md](results.md) has the networks' reliability).\n"
    )


def _n_neurons(folder: Path) -> int:
    """Number of neurons of the base model, from the layout of its networks."""
    files = sorted(folder.glob("networks/networks/networks.json"))
    if not files:
        return 30 * 576
    blocks = json.loads(files[0].read_text(encoding="utf-8"))["layout"]["blocks"]
    return sum(int(block["width"]) for block in blocks)


def _claims(findings: list[Finding]) -> str:
    table = pd.DataFrame(
        [(each.claim, each.verdict, each.rule, each.numbers) for each in findings],
        columns=["claim", "here", "rule", "numbers"],
    )
    return markdown(table) + "\n"


def _section(results: Results, step: Step, pictures: Path) -> str:
    text = f"## {TITLES[step.name]}\n\n    {results.command(step.name)}\n"
    source = results.folder / step.name
    if (source / "sweep" / "paper.md").is_file():
        text += f"\n{_paper(source / 'sweep' / 'paper.md')}\n"
    elif step.name == "train":
        text += f"\n{_trained(results)}\n"
    elif step.name == "tuned_overlap":
        text += f"\n{_overlap(results)}\n"
    elif step.name == "forgetting":
        text += f"\n{_forgotten(results)}\n"
    for picture in _pictures(source):
        copy = pictures / f"{step.name}_{picture.name}"
        shutil.copyfile(picture, copy)
        text += f"\n![{TITLES[step.name]}](images/replication/{copy.name})\n"
    return text


def _pictures(source: Path) -> list[Path]:
    """List the pictures of a sweep as a whole, or of a single run."""
    folder = source / "sweep" / "figures"
    wanted = (
        ("paper_*.png", "lesion_map.png", "forgetting.png")
        if folder.is_dir()
        else ("training.png", "overlap_between.png")
    )
    folder = folder if folder.is_dir() else source / "figures"
    return [file for pattern in wanted for file in sorted(folder.glob(pattern))]


def _paper(file: Path) -> str:
    """Table that the sweep wrote, folded if it is long."""
    blocks = file.read_text(encoding="utf-8").strip().split("\n\n")
    parts = []
    for place, block in enumerate(blocks):
        if place == 0:
            continue  # the section has this title already
        rows = block.count("\n") - 1
        if block.startswith("|") and rows > LONG:
            block = f"<details><summary>{rows} lines</summary>\n\n{block}\n\n</details>"
        parts.append(block)
    return "\n\n".join(parts)


def _trained(results: Results) -> str:
    table = results.table("train/tables/forgetting.csv")
    rows = table[table["metric"].isin(["acc", "balanced_acc"])]
    shown = rows[["task", "metric", "before", "after", "ci_low", "ci_high", "n", "chance"]].round(3)
    metrics = results.metrics("train")
    texts, steps, best = (metrics[name] for name in ("texts", "steps", "best_step"))
    said = f"{texts:,.0f} texts, {steps:.0f} updates, the best after {best:.0f}; "
    return (
        f"{said}`ci_low` and `ci_high` are of the gain, `chance` is the majority rate.\n\n{markdown(shown)}"
    )


def _overlap(results: Results) -> str:
    metrics = results.metrics("tuned_overlap")
    rows = [(name, f"{value:.3g}") for name, value in metrics.items() if name.startswith("overlap/")]
    return markdown(pd.DataFrame(rows, columns=["measure", "value"]))


def _forgotten(results: Results) -> str:
    table = results.table("forgetting/sweep/forgetting.csv")
    shown = table[table["metric"] == "nats_per_token"].assign(
        trained_parameters=table["trained_parameters"].map("{:,.0f}".format)
    )
    names = [
        "trainable",
        "trained_parameters",
        "role",
        "task",
        "before",
        "after",
        "delta",
        "ci_low",
        "ci_high",
    ]
    said = (
        "Nats per token (smaller is better). `inside` trains only the weights of the networks' neurons, "
        "`inside activation control` those of as many random neurons in the same blocks and nearest in "
        "activity, one draw of them; intervals are over texts, not over draws or runs."
    )
    return f"{said}\n\n{markdown(shown[names].round(3))}"
