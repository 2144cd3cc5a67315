"""Intervene on networks and score the model: python evaluate.py model=llama3 intervention=inhibit"""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
@launched
def main(cfg: DictConfig) -> float | None:
    from fbn_exp.stages.evaluate import run

    return run(cfg)


if __name__ == "__main__":
    main()
