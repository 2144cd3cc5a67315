"""Extract functional networks from a language model: python extract.py model=llama3 method=ica"""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path="conf", config_name="extract")
@launched
def main(cfg: DictConfig) -> float | None:
    from fbn_exp.stages.extract import run

    return run(cfg)


if __name__ == "__main__":
    main()
