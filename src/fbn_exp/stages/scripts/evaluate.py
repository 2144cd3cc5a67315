"""Intervene on networks and score the model: fbn-evaluate model=llama3 intervention=inhibit."""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.folder import CONF
from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")
@launched
def main(cfg: DictConfig) -> float | None:
    """Intervene on networks and score the model."""
    from fbn_exp.stages.evaluate import run

    return run(cfg)


# every process of a launched job runs this file
if __name__ == "__main__":
    main()
