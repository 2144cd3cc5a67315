"""Judge experiment A of the records by the rule of today, from the table of its run.

python replication/judge_again.py

A rule may be put right after a run. The numbers stay those of the run; its page gets today's rule and words,
and its mark the commit of the code that judged.
"""

import json
import shlex
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runner import DONE, commit

from fbn_exp.config.register import register
from fbn_exp.core.files import new_file
from fbn_exp.experiments.decisive.config import SinkConfig
from fbn_exp.experiments.decisive.sink_verdict import readable, sink_verdict
from fbn_exp.experiments.decisive.verdict import page, paragraphs
from fbn_exp.experiments.decisive.write import model_in_words

ROOT = Path(__file__).parent.parent
JUDGED = "judged"


def judge_again(place: Path) -> None:
    """Write the page of a finished run of experiment A anew.

    Parameters
    ----------
    place : Path
        Folder of the step.
    """
    done = json.loads((place / DONE).read_text(encoding="utf-8"))
    overrides = [each for each in shlex.split(done["command"])[2:] if each != "-m"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("evaluate", [each for each in overrides if not each.startswith("hydra.")])
    config = OmegaConf.to_object(cfg.decisive)
    assert isinstance(config, SinkConfig)
    table = pd.read_csv(place / "sweep" / "decisive.csv")
    said = paragraphs(config, sink_verdict(config, table, model_in_words(cfg.model.name)))
    question = " ".join(config.question.split())
    picture = f"figures/decisive_{config.name.value}.png"
    _write(place / "sweep" / "decisive.md", page(question, said, readable(config, table), [picture]))
    _write(place / DONE, json.dumps({**done, JUDGED: commit(ROOT)}))


def _write(file: Path, text: str) -> None:
    with new_file(file) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    register()
    for folder in sorted((ROOT / "replication" / "records").glob(f"*/sink/{DONE}")):
        judge_again(folder.parent)
