"""Cost of a sweep of 20 jobs by evaluate.py in one process, beside what the model does in it.

python perf/sweep.py [texts,… [override …]]

The model is loaded once, scored under every edit, and its loss is attributed to neurons once, for a control.
These are timed inside the sweep itself, the sweep from its first import to its last file.
"""

import os
import runpy
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from measure import CACHE, ROOT, Cost, Row, peaked, ratio, save, timed

JOBS = 20


def timing(into: list[Cost], function):
    def called(*args, **kwargs):
        with timed(into):
            return function(*args, **kwargs)

    return called


def script(name: str, *overrides: str) -> None:
    with patch.object(sys, "argv", [name, *overrides]):
        runpy.run_path(str(ROOT / name), run_name="__main__")


def total(costs: list[Cost]) -> Cost:
    return Cost(sum(each.wall for each in costs), sum(each.processor for each in costs))


def sweep(n_texts: str, overrides: list[str]) -> Row:
    """Extract networks, then sweep twenty factors on one of them."""
    whole: list[Cost] = []
    scoring: list[Cost] = []
    loading: list[Cost] = []
    attributing: list[Cost] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        cache = Path(folder) / "cache"
        cache.mkdir()
        if (CACHE / "models").is_dir():  # converting the model's file is not part of a sweep
            (cache / "models").symlink_to((CACHE / "models").resolve())
        shared = (f"cache={cache}", "tracking=none", "dataset.n_texts=8", *overrides)
        script("extract.py", *shared, f"hydra.run.dir={folder}/extract")
        from fbn_exp.benchmarks.perplexity import Perplexity
        from fbn_exp.interventions.controls import attribution as gradients
        from fbn_exp.models import load as models

        models._kept.clear()
        stack.enter_context(patch.object(Perplexity, "score", timing(scoring, Perplexity.score)))
        stack.enter_context(patch.object(models, "_read", timing(loading, models._read)))
        attribution = timing(attributing, gradients.attribution)
        stack.enter_context(patch.object(gradients, "attribution", attribution))
        factors = ",".join(f"{each / JOBS:.2f}" for each in range(JOBS))
        with peaked(peaks), timed(whole):
            script(
                "evaluate.py",
                "-m",
                *shared,
                f"networks={folder}/extract/networks",
                "intervention.networks=[0]",
                f"intervention.factor={factors}",
                f"benchmark.dataset.n_texts={n_texts}",
                "controls.repeats=1",
                f"hydra.sweep.dir={folder}/sweep",
            )
    parts = total(scoring + loading + attributing)
    beyond = (whole[0].wall - parts.wall) / JOBS
    found = (
        f"{ratio(whole, [parts])}; {whole[0].wall:.0f} s, {len(scoring)} scorings "
        f"{total(scoring).wall:.0f} s, {ratio(whole, [total(scoring)])} over these alone"
    )
    what = (
        f"sweep of {JOBS} jobs of {n_texts} texts over its scorings, {len(loading)} model load and "
        f"{len(attributing)} attribution"
    )
    quality = f"{beyond:.2f} s a job beyond them, imports and the sweep's end included (target ≤ 0.6 s)"
    return Row(what, found, "≤ 1.2", quality, peak=f"{peaks[0]:.2f}")


def main() -> None:
    # the benchmark's default number of texts, and so few that a job is mostly overhead
    sizes = sys.argv[1].split(",") if len(sys.argv) > 1 else ["20", "4"]
    os.chdir(ROOT)
    rows = []
    for n_texts in sizes:
        rows.append(sweep(n_texts, sys.argv[2:]))
        save("sweep", rows)


if __name__ == "__main__":
    main()
