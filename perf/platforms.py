"""The ten default networks on other platforms: threads, instructions, BLAS, formats of weights, seeds.

python perf/platforms.py [--fitted-only] [--seeds 2]

Every setting is a process of its own. A library cannot be exchanged while it runs, but its code can: MKL and
PyTorch's kernels without AVX-512 or any AVX, and OpenBLAS (numpy, scipy) as on a processor of 2008, round in
another order, as another BLAS does. Most settings fit the same recorded signals; in the last two the model
runs on the other code as well, and with weights of the other format, which takes minutes; ``--fitted-only``
leaves them out. These rows are no speeds.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from measure import CACHE, ROOT, SMOLLM2, Row, save, texts
from torch import Tensor

from fbn_exp.core.layout import Site
from fbn_exp.methods.ica import ICA
from fbn_exp.models.config import Precision
from fbn_exp.models.load import load
from fbn_exp.networks.matching import absolute_correlation, matched
from fbn_exp.signals.config import SignalsConfig, Standardise
from fbn_exp.signals.recording import recorded

FOLDER = ROOT / "outputs" / "perf" / "platforms"
SIGNALS = {
    "paper": SignalsConfig(),
    "stable": SignalsConfig(first_tokens_excluded=1, standardise=Standardise.zscore),
}
OLD_CODE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "Nehalem",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


@dataclass(frozen=True)
class Setting:
    """A platform: environment, format of the weights, seed, and whether the model is run on it."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    dtype: str = "float32"
    seed: int = 0
    records: bool = False


REFERENCE = Setting("float32, one thread", records=True)
FITTED = (
    Setting("two threads", {"OMP_NUM_THREADS": "2"}),
    Setting("MKL by code that all processors share (MKL_CBWR=COMPATIBLE)", {"MKL_CBWR": "COMPATIBLE"}),
    Setting("MKL of AVX2", {"MKL_CBWR": "AVX2"}),
    Setting("PyTorch's kernels without AVX", {"ATEN_CPU_CAPABILITY": "default"}),
    Setting("OpenBLAS of 2008 (OPENBLAS_CORETYPE=Nehalem)", {"OPENBLAS_CORETYPE": "Nehalem"}),
    Setting("all of these", OLD_CODE),
)
RECORDED = (
    Setting("all of these, the model as well", OLD_CODE, records=True),
    Setting("bfloat16 weights", dtype="bfloat16", records=True),
)


def record(dtype: str) -> None:
    """Record both kinds of signals of the default texts into ``FOLDER``."""
    lm = load(replace(SMOLLM2, dtype=Precision(dtype)), CACHE)
    of_model = texts(lm, 100)
    for name, config in SIGNALS.items():
        with recorded(lm, of_model, lm.layout(Site.mlp_output), config, FOLDER) as signals:
            np.save(FOLDER / f"signals-{name}.npy", signals.values.numpy())


def fit(setting: Setting, place: str) -> None:
    """Fit the ten networks of both kinds of signals in this process, and write their maps."""
    if setting.records:
        record(setting.dtype)
    for name in SIGNALS:
        signals = torch.from_numpy(np.load(FOLDER / f"signals-{name}.npy"))
        fitted = ICA(10, seed=setting.seed).fit(signals)
        np.save(FOLDER / f"maps-{place}-{name}.npy", fitted.maps_.numpy())
        np.save(FOLDER / f"quality-{place}-{name}.npy", fitted.metrics_["negentropy"])


def maps(place: int, name: str) -> Tensor:
    # in single precision |r| of a map with itself is .999997, where one neuron holds most of its energy
    return torch.from_numpy(np.load(FOLDER / f"maps-{place}-{name}.npy")).double()


def row(setting: Setting, place: int) -> Row:
    least, quality = [], []
    for name in SIGNALS:
        first, other = maps(0, name), maps(place, name)
        least.append(float(matched(absolute_correlation(first, other).numpy()).min()))
        scores = [float(np.load(FOLDER / f"quality-{at}-{name}.npy")) for at in (0, place)]
        quality.append(f"{name} {scores[0]:.5f}, {scores[1]:.5f}")
    found = "; ".join(f"{name} {value:.6f}" for name, value in zip(SIGNALS, least, strict=True))
    return Row(
        f"{setting.name}: smallest matched |r| of ten", found, "> .999", "negentropy " + "; ".join(quality)
    )


def settings(fitted_only: bool, seeds: int) -> list[Setting]:
    other_seeds = [Setting(f"seed {seed}", seed=seed) for seed in range(1, seeds + 1)]
    # what records replaces the signals, and comes last
    return [REFERENCE, *FITTED, *other_seeds, *(() if fitted_only else RECORDED)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fitted-only", action="store_true")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--child", type=int)
    chosen = parser.parse_args()
    plan = settings(chosen.fitted_only, chosen.seeds)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if chosen.child is not None:
        fit(plan[chosen.child], str(chosen.child))
        return
    rows = []
    for place, setting in enumerate(plan):
        command = [sys.executable, str(Path(__file__)), *sys.argv[1:], f"--child={place}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **setting.environment}
        subprocess.run(command, check=True, env=environment)
        if place > 0:
            rows.append(row(setting, place))
            save("platforms", rows)


if __name__ == "__main__":
    main()
