"""Fine-tune a model, whole or only inside its networks: python train.py model=smollm2 task=classification"""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@launched
def main(cfg: DictConfig) -> float | None:
    from fbn_exp.stages.train import run

    return run(cfg)


if __name__ == "__main__":
    main()
