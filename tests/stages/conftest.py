from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

import fbn_exp.stages.cli  # noqa: F401 - registers the resolver that conf/common.yaml uses
from fbn_exp.config.register import register

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="session")
def composed():
    """Compose a script's yaml as ``hydra.main`` would, with what only a running job knows filled in."""
    register()

    def compose_script(*overrides: str, script: str = "extract"):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose(script, overrides=list(overrides))
        cfg.run.folder, cfg.run.name, cfg.run.sweep = "nowhere", "test", None
        return cfg

    return compose_script
