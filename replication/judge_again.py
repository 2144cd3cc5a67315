"""Judge experiments A and B, and the paper's control of C, by the rule of today, from the tables of records.

python replication/judge_again.py [STEP,…]

A rule may be put right after a run. The numbers stay those of the run; its page gets today's rule and words,
and its mark the commit of the code that judged.
"""

import json
import shlex
import sys
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runner import DONE, commit

from fbn_exp.config.register import register
from fbn_exp.core.files import new_file
from fbn_exp.experiments.decisive.config import ICAClaimConfig, ShareConfig, SinkConfig
from fbn_exp.experiments.decisive.ica.verdict import ica_readable, ica_verdict
from fbn_exp.experiments.decisive.preservation.share import share_readable, share_verdict
from fbn_exp.experiments.decisive.sink_verdict import readable, sink_verdict
from fbn_exp.experiments.decisive.verdict import Verdict, page, paragraphs
from fbn_exp.experiments.decisive.write import model_in_words

ROOT = Path(__file__).parent.parent
JUDGED = "judged"
STEPS = ("sink", "ica", "share")


def judge_again(place: Path) -> None:
    """Write the page of a finished run anew.

    Parameters
    ----------
    place : Path
        Folder of the step.
    """
    done = json.loads((place / DONE).read_text(encoding="utf-8"))
    overrides = [each for each in shlex.split(done["command"])[2:] if each != "-m"]
    if "experiment=decisive/share" in overrides:
        # outside of a run nothing says which option of the model was chosen
        option = next(each.partition("=")[2] for each in overrides if each.startswith("model="))
        overrides.append(f"decisive.fine_tuned={option}")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("evaluate", [each for each in overrides if not each.startswith("hydra.")])
    config = OmegaConf.to_object(cfg.decisive)
    verdict, shown = _judged(config, place / "sweep", model_in_words(cfg.model.name))
    said = paragraphs(config, verdict)
    question = " ".join(config.question.split())
    picture = f"figures/decisive_{config.name.value}.png"
    _write(place / "sweep" / "decisive.md", page(question, said, shown, [picture]))
    _write(place / DONE, json.dumps({**done, JUDGED: commit(ROOT)}))


def _judged(config: object, folder: Path, model: str) -> tuple[Verdict, pd.DataFrame]:
    """Verdict by the rule of today, and the table for reading."""
    table = pd.read_csv(folder / "decisive.csv")
    if isinstance(config, ICAClaimConfig):
        methods = pd.read_csv(folder / "decisive_methods.csv")
        return ica_verdict(config, table, methods, model), ica_readable(config, methods)
    if isinstance(config, ShareConfig):
        # the models behind a mean have no name of their own
        table["model"] = table["model"].fillna("").astype(str)
        return share_verdict(config, table, config.named(model)), share_readable(config, table)
    assert isinstance(config, SinkConfig)
    return sink_verdict(config, table, model), readable(config, table)


def _write(file: Path, text: str) -> None:
    with new_file(file) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    register()
    for step in sys.argv[1].split(",") if sys.argv[1:] else STEPS:
        for folder in sorted((ROOT / "replication" / "records").glob(f"*/{step}/{DONE}")):
            judge_again(folder.parent)
