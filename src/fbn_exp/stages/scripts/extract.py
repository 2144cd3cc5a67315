"""Extract functional networks from a language model: fbn-extract model=llama3 method=ica."""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.folder import CONF
from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path=str(CONF), config_name="extract")
@launched
def main(cfg: DictConfig) -> float | None:
    """Extract functional networks from a language model."""
    from fbn_exp.stages.extract import run

    return run(cfg)


# every process of a launched job runs this file
if __name__ == "__main__":
    main()
