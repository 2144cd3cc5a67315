"""Run a stage as its script would, without a process of its own, which costs more than a tiny model."""

import importlib
import json
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import fbn_exp.stages.cli  # noqa: F401 - registers the resolver that conf/common.yaml uses
from fbn_exp.config.register import register

QUICK = ("tracking=none", "figures.max_networks=0", "figures.dpi=30")
CONF = Path(__file__).parents[1] / "conf"


def composed(*overrides: str, script: str = "extract", folder: Path | str = "nowhere") -> DictConfig:
    """A script's yaml as ``hydra.main`` composes it, with what only a running job knows filled in."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(script, overrides=list(overrides))
    cfg.run.folder, cfg.run.name, cfg.run.sweep = str(folder), "test", None
    return cfg


def run_stage(stage: str, folder: Path, *overrides: str) -> dict[str, float]:
    """Metrics of ``<stage>.py overrides``, run into ``folder``."""
    cfg = composed(*overrides, *QUICK, script=stage, folder=folder)
    importlib.import_module(f"fbn_exp.stages.{stage}").run(cfg)
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    assert isinstance(metrics, dict)
    return metrics


def marked_texts(path: Path, n_texts: int = 300) -> tuple[str, ...]:
    """Overrides for labelled texts: letters, then a mark that tells the label; one of five is ``down``."""
    letters = "abcdefgh"
    rows = []
    for number in range(n_texts):
        text = (
            "".join(letters[(number * (place + 3) + number // 8) % 8] for place in range(9)) + f" {number} "
        )
        label = "down" if number % 5 == 0 else "up"
        rows.append({"text": text + {"up": "+", "down": "-"}[label], "label": label})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ("dataset=files", f"dataset.paths=[{path}]", "dataset.label_field=label", "dataset.min_tokens=4")
