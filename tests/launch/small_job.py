"""An entry script that does next to nothing, to see how its processes are treated."""

import json
import os
import signal
import time
from pathlib import Path

import hydra
from omegaconf import DictConfig

from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

register()


def on_rank(folder: str, seconds: float) -> list[int]:
    """Say who is here; the last rank takes the given time."""
    from fbn_exp.core import ranks

    rank, size = ranks.rank_and_size()
    (Path(folder) / f"process{rank}").write_text(str(os.getpid()))
    if rank == size - 1:
        time.sleep(seconds)
    return ranks.gathered(rank, "the test's ranks")


@reported
@hydra.main(version_base="1.3", config_path=None, config_name="small")
@launched
def main(cfg: DictConfig) -> float | None:
    from fbn_exp.core import ranks
    from fbn_exp.core.errors import ConfigError

    if cfg.number == 1:
        raise ConfigError(f"number is {cfg.number}, which this test does not like")
    if cfg.number == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    folder = cfg.run.folder
    found = ranks.run_on_leader(lambda: ranks.together(on_rank, {}, folder, cfg.seconds), lambda name: None)
    if ranks.is_first():
        (Path(folder) / "result.json").write_text(json.dumps({"metrics": {"ranks": len(found)}}))
    return float(len(found))


if __name__ == "__main__":
    main()
