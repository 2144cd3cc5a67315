"""A sparse autoencoder beside ICA and principal components, on stable signals of the default texts.

python perf/autoencoder.py [--components 10 64]

docs/replication.md quotes what it prints; it writes no file.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measure import smollm2, texts
from torch import Tensor

from fbn_exp.core.layout import Site
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Decomposition
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.pca import PCA
from fbn_exp.methods.sae import SparseAutoencoder
from fbn_exp.networks.matching import absolute_correlation, matched
from fbn_exp.signals.config import SignalsConfig, Standardise
from fbn_exp.signals.recording import recorded

STABLE = SignalsConfig(first_tokens_excluded=1, standardise=Standardise.zscore)


def similar(maps: Tensor, others: Tensor) -> str:
    """Median |r| of maps, or of transposed time courses, with their matches."""
    return f"{np.median(matched(absolute_correlation(maps, others).numpy())):.2f}"


def timed(method: Decomposition, signals: Tensor, rows: Rows) -> Decomposition:
    """Fit a method and print what it explains and takes."""
    started = time.process_time()
    method.fit(signals, rows)
    seconds = time.process_time() - started
    held = {
        name: round(value, 4) for name, value in method.metrics_.items() if "held" in name or "dead" in name
    }
    print(f"{type(method).__name__}: explained {method.explained_variance_:.4f}, {held}, {seconds:.0f} s")
    return method


def compare(count: int, signals: Tensor, rows: Rows) -> None:
    """Print how like each other the three methods are, and each method in two halves of the texts."""
    starts = None if count <= 10 else 3
    sae, ica, pca = (
        timed(each, signals, rows)
        for each in (SparseAutoencoder(count), ICA(count, max_starts=starts), PCA(count))
    )
    courses = similar(sae.time_courses_.T, ica.time_courses_.T)
    print(f"{count}, maps of SAE and ICA {similar(sae.maps_, ica.maps_)}, time courses {courses}")
    print(f"{count}, maps of PCA and ICA {similar(pca.maps_, ica.maps_)}")
    again = SparseAutoencoder(count, seed=1).fit(signals, rows)
    print(f"{count}, maps of SAE and another seed {similar(sae.maps_, again.maps_)}")
    order = np.random.default_rng(0).permutation(len(rows.lengths))
    halves = [sorted(order[:50].tolist()), sorted(order[50:].tolist())]
    for make in (lambda: SparseAutoencoder(count), lambda: ICA(count, max_starts=starts), lambda: PCA(count)):
        fits = [
            make().fit(signals[torch.from_numpy(rows.of_texts(half))], rows.subset(half)) for half in halves
        ]
        print(f"{count}, {type(fits[0]).__name__} of two halves {similar(fits[0].maps_, fits[1].maps_)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--components", type=int, nargs="+", default=[10, 64])
    counts = parser.parse_args().components
    torch.set_num_threads(1)
    lm = smollm2()
    with (
        TemporaryDirectory() as folder,
        recorded(lm, texts(lm, 100), lm.layout(Site.mlp_output), STABLE, Path(folder)) as signals,
    ):
        for count in counts:
            compare(count, signals.values, signals.rows)


if __name__ == "__main__":
    main()
