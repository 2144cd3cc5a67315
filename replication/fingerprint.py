"""Fingerprints of models of known origin: python replication/fingerprint.py --folder outputs/fingerprint.

Makes a fine-tune, a LoRA, quantised, pruned and re-initialised versions of the embedded model, extracts
networks of each and of the other embedded model, and scores all pairs. What is there is not made again.
"""

import argparse
import copy
import itertools
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve
from transformers import AutoModelForCausalLM, PreTrainedModel

import fbn_exp as fbn
from fbn_exp.analysis.fingerprint.alignment import cut, located, shared_ends
from fbn_exp.analysis.fingerprint.courses import mean_courses
from fbn_exp.analysis.fingerprint.scores import (
    Pairs,
    fingerprint_score,
    rank_correlations,
    scores_of_samples,
    shifted_scores,
    shuffled_scores,
)
from fbn_exp.config.folder import CONF
from fbn_exp.config.register import register
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.stages import cli, extract, train  # noqa: F401 - cli registers a resolver

log = logging.getLogger("fingerprint")

BASE, OTHER = "smollm2", "gemma3-270m"
# what is made of the weights of every linear map in the blocks
TRAINED = {
    "finetune": ("dataset=tweets", "trainable=all", "trainer.learning_rate=1e-4"),
    "lora": ("dataset=code", "trainable=lora", "trainer.learning_rate=1e-3"),
}
STEPS = ("trainer.max_steps=8", "trainer.batch_size=2", "dataset.n_texts=64", "dataset.tokens_per_text=32")
SCORED = (
    "task=language_modeling",
    "task.dev_texts=2",
    "task.test_texts=2",
    "trainer.evaluation_interval=100",
)
CHANGED = ("int8", "int4", "pruned", "reinitialised")
PRUNED_SHARE = 0.2
TEXTS, TOKENS, SAMPLE, COMPONENTS = 40, 64, 10, 10


@dataclass(frozen=True)
class Recorded:
    """Courses of a model's networks, and where its tokens end, in every text."""

    courses: list[np.ndarray]
    ends: list[np.ndarray]


def main() -> None:
    """Make models and networks, score all pairs, and write tables and a picture."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("outputs/fingerprint"))
    parser.add_argument("--pruned", type=Path, help="checkpoint written by prune.py, in place of our own")
    parser.add_argument("--cache", default="outputs/cache")
    parser.add_argument("--only", help="record this model and end, beside others that do the same")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    register()
    origins = {BASE: BASE, OTHER: OTHER, **made_models(asked)}
    if asked.only is not None:
        record(asked.only, origins[asked.only], asked)
        return
    recorded = {name: record(name, model, asked) for name, model in origins.items()}
    write(recorded, asked.folder)


def stage(module: object, asked: argparse.Namespace, folder: Path, *overrides: str) -> None:
    """Run a script's stage as from the command line."""
    if (folder / "result.json").is_file() and json.loads((folder / "result.json").read_text())["finished"]:
        return
    script = module.__name__.rpartition(".")[2]
    log.info("python %s.py %s hydra.run.dir=%s", script, " ".join(overrides), folder)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(script, overrides=[*overrides, "tracking=none", f"cache={asked.cache}"])
    cfg.run.folder, cfg.run.name, cfg.run.sweep = str(folder), folder.name, None
    module.run(cfg)


def made_models(asked: argparse.Namespace) -> dict[str, str]:
    """Folders of models that are made of the embedded one, by name."""
    for name, settings in TRAINED.items():
        stage(train, asked, asked.folder / name, f"model={BASE}", *SCORED, *settings, *STEPS)
    made = {name: str(asked.folder / name / "checkpoint") for name in TRAINED}
    for name in CHANGED:
        made[name] = str(asked.folder / name)
        if name == "pruned" and asked.pruned is not None:
            made[name] = str(asked.pruned)
        elif not (asked.folder / name / "config.json").is_file():
            change(name, asked)
    return made


def change(name: str, asked: argparse.Namespace) -> None:
    """Save a quantised, pruned or re-initialised copy of the embedded model."""
    log.info("making %s", name)
    lm = fbn.load_model(BASE, cache=asked.cache, dtype="float32")
    if name == "reinitialised":
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(lm.model.config)
    else:
        # the model itself is kept for the next one
        model = copy.deepcopy(lm.model)
        with torch.no_grad():
            for path, weight in model.named_parameters():
                if ".layers." in path and weight.ndim == 2:
                    weight.copy_(changed_weight(name, weight))
    model.save_pretrained(asked.folder / name)
    lm.tokenizer.save_pretrained(asked.folder / name)


def changed_weight(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Weight rounded to 8 or 4 bits with a scale per row, or without its smallest entries."""
    if name == "pruned":
        cut_off = weight.abs().flatten().kthvalue(int(PRUNED_SHARE * weight.numel())).values
        return torch.where(weight.abs() > cut_off, weight, 0.0)
    largest = {"int8": 127, "int4": 7}[name]
    scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / largest
    return (weight / scale).round() * scale


def record(name: str, model: str, asked: argparse.Namespace) -> Recorded:
    """Extract networks of a model, and record their courses over texts that they were not fitted on."""
    kept = asked.folder / f"courses_{name}.npz"
    if not kept.is_file():
        which = f"model={model}" if model in (BASE, OTHER) else f"model.name={model}"
        texts = (f"dataset.n_texts={TEXTS}", f"dataset.tokens_per_text={TOKENS}")
        few = (f"method.n_components={COMPONENTS}", "figures.max_networks=0")
        stage(extract, asked, asked.folder / f"networks_{name}", which, *texts, *few)
        networks = fbn.load_networks(asked.folder / f"networks_{name}" / "networks")
        lm = fbn.load_model(model, cache=asked.cache)
        found = located(base_texts(asked), lm)
        log.info("recording %s", name)
        courses = mean_courses(lm, networks.layout, networks.masks(), found, 2048, asked.folder)
        parts = {f"courses_{index}": each for index, each in enumerate(courses)}
        np.savez(kept, **parts, **{f"ends_{index}": each for index, each in enumerate(found.ends)})
    with np.load(kept) as read:
        count = len(read.files) // 2
        return Recorded(
            *([read[f"{kind}_{index}"] for index in range(count)] for kind in ("courses", "ends"))
        )


def base_texts(asked: argparse.Namespace) -> object:
    """Texts of the test part, cut to what the first tokens of the embedded model cover."""
    lm: LanguageModel = fbn.load_model(BASE, cache=asked.cache)
    texts = fbn.load_texts("wiki", lm, n_texts=TEXTS, tokens_per_text=TOKENS, split="test")
    return cut(texts, lm.tokenizer, lm.name)


def pairs_of(one: Recorded, other: Recorded) -> Pairs:
    """Courses of two models at shared tokens, without the first of each text."""
    made = []
    for courses, ends, others, other_ends in zip(
        one.courses, one.ends, other.courses, other.ends, strict=True
    ):
        here, there = shared_ends(ends, other_ends, 1)
        made.append((courses[here], others[there]))
    return made


def write(recorded: dict[str, Recorded], folder: Path) -> None:
    """Write scores of all pairs, of samples of texts, the areas under ROC curves, and a picture."""
    rows, samples = [], []
    for one, other in itertools.combinations(recorded, 2):
        pairs = pairs_of(recorded[one], recorded[other])
        correlations = rank_correlations(pairs)
        mean = correlations.mean(axis=0)
        same = not {one, other} & {OTHER, "reinitialised"}
        scores = {
            "score": fingerprint_score(mean),
            "largest rho": float(np.abs(mean).max()),
            "pairs > .5": int((mean > 0.5).sum()),
            "other texts": float(shuffled_scores(pairs, 19, 0).mean()),
            "shifts": float(shifted_scores(pairs, 19, 0).mean()),
        }
        rows.append({"model": one, "other": other, "same origin": same, **scores})
        for score, part in zip(
            scores_of_samples(correlations, SAMPLE),
            np.split(correlations[: len(correlations) // SAMPLE * SAMPLE], len(correlations) // SAMPLE),
            strict=True,
        ):
            largest = float(part.mean(axis=0).max())
            samples.append({"model": one, "other": other, "same": same, "score": score, "largest": largest})
    table, scored = pd.DataFrame(rows), pd.DataFrame(samples)
    table.to_csv(folder / "pairs.csv", index=False)
    scored.to_csv(folder / "samples.csv", index=False)
    areas = {name: roc_auc_score(scored["same"], scored[name]) for name in ("score", "largest")}
    (folder / "roc.json").write_text(json.dumps(areas, indent=2))
    picture(table, scored, areas).savefig(folder / "fingerprint_roc.png", dpi=110)
    print(table.sort_values("score", ascending=False).round(3).to_markdown(index=False))
    print(areas)


def picture(table: pd.DataFrame, scored: pd.DataFrame, areas: dict[str, float]) -> Figure:
    """Scores of all pairs by origin, and the ROC curve of samples of texts."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    ordered = table.sort_values("score").reset_index(drop=True)
    colours = ["#1f4e79" if same else "#c0571a" for same in ordered["same origin"]]
    left.scatter(ordered["score"], ordered.index, color=colours)
    left.scatter(ordered["other texts"], ordered.index, color="#8a8a8a", marker="|")
    labels = ordered["model"] + " – " + ordered["other"]
    left.set_yticks(ordered.index, labels, fontsize=7)
    left.set_xlim(0, 1)
    left.set_xlabel("mean |ρ| of matched networks; grey: with other texts")
    left.set_title("blue: same origin, orange: another", fontsize=9)
    titles = {"score": "our score", "largest": "largest ρ, as P3 looks for"}
    for name, colour in (("score", "#1f4e79"), ("largest", "#8a8a8a")):
        false, true, _ = roc_curve(scored["same"], scored[name])
        right.step(false, true, where="post", color=colour, label=f"{titles[name]}: {areas[name]:.3f}")
    right.plot([0, 1], [0, 1], ":", color="#8a8a8a")
    right.legend(title="area", fontsize=8)
    right.set_xlabel("share of other origin called same")
    right.set_ylabel("share of same origin called same")
    right.set_title(f"samples of {SAMPLE} texts", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
