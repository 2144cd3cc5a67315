"""Fine-tune a model as a whole or only inside its networks: fbn-train model=smollm2 task=classification."""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.folder import CONF
from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
@launched
def main(cfg: DictConfig) -> float | None:
    """Fine-tune a model as a whole or only inside its networks."""
    from fbn_exp.stages.train import run

    return run(cfg)


# every process of a launched job runs this file
if __name__ == "__main__":
    main()
