"""Look at networks, and intervene on them, in a local page: fbn-explore networks=outputs/…/networks."""

import hydra
from omegaconf import DictConfig

from fbn_exp.config.folder import CONF
from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


@reported
@hydra.main(version_base="1.3", config_path=str(CONF), config_name="explore")
@launched
def main(cfg: DictConfig) -> None:
    """Look at networks, and intervene on them, in a local page."""
    from fbn_exp.explorer.run import run

    run(cfg)


if __name__ == "__main__":
    main()
