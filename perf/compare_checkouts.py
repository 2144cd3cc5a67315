"""Run the same jobs in two checkouts, and compare networks, scores, tables and pictures to the bit.

For a change that must not change results::

    python perf/compare_checkouts.py run ../old /tmp/old     # every job of a checkout, into a folder
    python perf/compare_checkouts.py run . /tmp/new
    python perf/compare_checkouts.py diff /tmp/old /tmp/new  # timings, peaks and versions left out

All methods, interventions and analyses on the tiny model, a sweep and three trainings; with ``--real`` also
the embedded model with signals=stable and a lesion. Each job runs on one thread.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

TINY = (
    "model=tiny",
    "dataset.n_texts=12",
    "dataset.tokens_per_text=64",
    "method.n_components=4",
    "tracking=none",
)
SHORT = ("benchmark.dataset.n_texts=4", "controls.repeats=2")
LESION = ("controls.repeats=1", "intervention=inhibit")
TRAINING = (
    *("model=tiny", "dataset.n_texts=40", "trainer.max_steps=4", "trainer.evaluation_interval=2"),
    *("task.dev_texts=16", "task.test_texts=16", "tracking=none"),
)
CORPORA = [f"forgetting.{corpus}.dataset.n_texts=3" for corpus in ("wiki", "news", "math", "code")]
METHODS = ("ica", "spatial_ica", "canica", "dictionary", "pca", "random")
INTERVENTIONS = ("scale", "inhibit", "amplify", "shift", "mean", "preserve", "none")
PER_BLOCK = ("method.per_block=true", "method.n_components=2")
ICASSO = ("reliability=icasso", "reliability.runs=6", "reliability.surrogates=19", "reliability.orders=[2,3]")
# {out} is the folder of all jobs
JOBS: dict[str, tuple[str, ...]] = {
    **{f"extract_{method}": ("extract.py", *TINY, f"method={method}") for method in METHODS},
    **{
        f"extract_per_block_{method}": (
            "extract.py",
            *TINY,
            f"method={method}",
            "method.per_block=true",
            "method.n_components=2",
        )
        for method in ("ica", "dictionary")
    },
    "extract_stable_top": ("extract.py", *TINY, "signals=stable", "threshold=top"),
    "extract_fdr": ("extract.py", *TINY, "signals=stable", "threshold=fdr"),
    "extract_hidden": ("extract.py", *TINY, "site=mlp_hidden"),
    "extract_icasso": ("extract.py", *TINY, *ICASSO),
    **{f"evaluate_{name}": ("evaluate.py", *TINY, *SHORT, f"intervention={name}") for name in INTERVENTIONS},
    "evaluate_single": (
        *("evaluate.py", *TINY, *SHORT, "intervention=inhibit", "intervention.networks=[1]"),
        *("networks={out}/extract_ica/networks", "controls.share=0.15"),
    ),
    "evaluate_per_block": (
        *("evaluate.py", *TINY, *SHORT, "intervention=inhibit"),
        "networks={out}/extract_per_block_ica/networks",
    ),
    "evaluate_probes": ("evaluate.py", *TINY, *LESION, "benchmark=probes", "benchmark.limit=8"),
    "evaluate_classification": (
        *("evaluate.py", *TINY, *LESION, "benchmark=classification"),
        "benchmark.dataset.n_texts=12",
    ),
    "evaluate_generation": ("evaluate.py", *TINY, *LESION, "benchmark=generation", "benchmark.new_tokens=8"),
    "evaluate_select": (
        *("evaluate.py", *TINY, "controls.repeats=1", "intervention=scale", "select_factor=true"),
        *("factors=[0,1.1,1.5]", "benchmark=probes", "benchmark.limit=6"),
    ),
    # the names of version 0.1, which the scripts translate
    "consistency": (
        *("evaluate.py", *TINY, "benchmark=consistency", "benchmark.dataset.n_texts=5"),
        *("benchmark.n_components=3", "benchmark.null_draws=20"),
    ),
    "overlap": (
        *("evaluate.py", *TINY, "benchmark=overlap", "benchmark.other={out}/extract_pca/networks"),
        *("benchmark.null_draws=50", "networks={out}/extract_ica/networks"),
    ),
    "connectivity": (
        *("evaluate.py", *TINY, "benchmark=connectivity", "benchmark.dataset.n_texts=8"),
        "benchmark.draws=100",
    ),
    "sweep": (
        *("evaluate.py", "-m", *TINY, *SHORT, "intervention=scale", "intervention.factor=0,0.5,1.5"),
        "intervention.networks=all,[0]",
    ),
    "train": ("train.py", *TRAINING),
    "train_inside": (
        *("train.py", *TRAINING, "trainable=inside", "networks={out}/extract_ica/networks"),
        *("intervention=scale", "intervention.factor=0.5", "forgetting=corpora", *CORPORA),
    ),
    "train_lora": ("train.py", *TRAINING, "trainable=lora", "task=language_modeling"),
}
REAL: dict[str, tuple[str, ...]] = {
    "real_stable": ("extract.py", "signals=stable", "tracking=none", "dataset.n_texts=30"),
    "real_lesion": (
        *("evaluate.py", "signals=stable", "tracking=none", "networks={out}/real_stable/networks"),
        *("intervention=inhibit", "intervention.networks=[0]", *SHORT),
    ),
}
COMPARED = (
    *("*/result.json", "*/networks/*", "*/tables/*.csv", "*/figures/*.png", "*/checkpoint/*.safetensors"),
    *("sweep/*/result.json", "sweep/*/tables/*.csv", "sweep/sweep/*.csv", "sweep/sweep/figures/*.png"),
)
TIMED = re.compile(r"seconds|tokens_per_second|peak_gib")
# of the description of networks: when and by which version they were made
UNEQUAL = ("format", "description_sha256")


def run(checkout: Path, out: Path, jobs: dict[str, tuple[str, ...]]) -> None:
    """Run every job that has not been run yet."""
    out.mkdir(parents=True, exist_ok=True)
    own = {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **own, "FBN_EXP_CACHE": str(out / "cache")}
    for name, words in jobs.items():
        folder = out / name
        if (folder / "result.json").exists() or (folder / "sweep").exists():
            continue
        place = f"hydra.{'sweep' if '-m' in words else 'run'}.dir={folder}"
        command = [sys.executable, *(word.replace("{out}", str(out)) for word in words), place]
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        (out / f"{name}.log").write_text(done.stdout + done.stderr)
        print(name, "done" if done.returncode == 0 else f"failed, see {out / name}.log", flush=True)


def content(file: Path, root: Path) -> Any:
    """What of a file must be equal."""
    if file.suffix == ".json":
        read = json.loads(file.read_text())
        if file.name == "result.json":
            return {name: str(value) for name, value in read["metrics"].items() if not TIMED.search(name)}
        read["provenance"].pop("version", None)
        plain = json.dumps({key: value for key, value in read.items() if key not in UNEQUAL}, sort_keys=True)
        # modules have moved
        return re.sub(r'("_target_": ")[\w.]*\.', r"\1", re.sub(r'"_convert_": "all", ', "", plain))
    if file.suffix == ".csv":
        rows = list(csv.reader(file.read_text().replace(str(root), "OUT").splitlines()))
        columns = zip(*rows, strict=True)
        return sorted(column for column in columns if not TIMED.search(column[0]))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def diff(old: Path, new: Path) -> int:
    """Print files that differ; return their number."""
    files = {file.relative_to(out) for out in (old, new) for each in COMPARED for file in out.glob(each)}
    different = []
    for file in sorted(file for file in files if file.parts[0] != "cache"):
        if not ((old / file).exists() and (new / file).exists()):
            different.append(f"{file}: only in {old if (old / file).exists() else new}")
        elif content(old / file, old) != content(new / file, new):
            different.append(str(file))
    print(*different, sep="\n")
    print(f"{len(files) - len(different)} files are the same to the bit, {len(different)} are not")
    return len(different)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("run", "diff"))
    parser.add_argument("first", type=Path, help="checkout, or results of the old one")
    parser.add_argument("second", type=Path, help="where results go, or those of the new checkout")
    parser.add_argument("--real", action="store_true", help="also the embedded model")
    given = parser.parse_args()
    first, second = given.first.resolve(), given.second.resolve()
    if given.action == "diff":
        return int(diff(first, second) > 0)
    run(first, second, JOBS | (REAL if given.real else {}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
