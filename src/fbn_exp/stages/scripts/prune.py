"""Prune hidden neurons outside of networks into a smaller checkpoint: fbn-prune prune.ratio=0.2."""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.folder import CONF
from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path=str(CONF), config_name="prune")
@launched
def main(cfg: DictConfig) -> float | None:
    """Prune hidden neurons outside of networks into a smaller checkpoint."""
    from fbn_exp.stages.prune import run

    return run(cfg)


# every process of a launched job runs this file
if __name__ == "__main__":
    main()
