"""``evaluate.py``, whose ranks also write down how often they ran the model while they scored."""

import functools
from pathlib import Path

import hydra
from omegaconf import DictConfig

from fbn_exp.config.register import register
from fbn_exp.stages.cli import launched, reported

CONF = Path(__file__).parents[2] / "conf"
register()


def count_passes_into(folder: Path) -> None:
    """Keep the number of forward passes of this rank's scorings in ``folder``, as ``passes<rank>``."""
    import torch
    from transformers import PreTrainedModel

    from fbn_exp.benchmarks import evaluator as scorer
    from fbn_exp.core import ranks

    passes = 0
    score_under = scorer.score_under

    def count(module: torch.nn.Module, inputs: object) -> None:
        nonlocal passes
        # its layers are no such models, the body of a causal one is
        if isinstance(module, PreTrainedModel) and module.get_output_embeddings() is not None:
            passes += 1

    @functools.wraps(score_under)
    def counted(*args: object, **own: object) -> object:
        handle = torch.nn.modules.module.register_module_forward_pre_hook(count)
        try:
            return score_under(*args, **own)
        finally:
            handle.remove()
            (folder / f"passes{ranks.rank_and_size()[0]}").write_text(str(passes))

    scorer.score_under = counted


@reported
@hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")
@launched
def main(cfg: DictConfig) -> float | None:
    from fbn_exp.stages.evaluate import run

    count_passes_into(Path(cfg.run.folder))
    return run(cfg)


if __name__ == "__main__":
    main()
