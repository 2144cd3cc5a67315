"""Checkpoints of the training loop: what one holds, and which is the last."""

import json
from pathlib import Path

from fbn_exp.core.errors import TrainingError

TRAINED = "trained.safetensors"
STATE = "trainer_state.json"
# what a checkpoint must hold to go on from it; the state is written last
COMPLETE = (TRAINED, "optimizer.pt", "scheduler.pt", "rng_state*.pth", STATE)


def last_checkpoint(folder: Path) -> Path:
    """Newest complete checkpoint: ``folder`` itself, or inside it or its ``checkpoints``.

    A run that is killed while it writes one leaves it incomplete; the one before is taken then.

    Raises
    ------
    TrainingError
        If there is none.
    """
    found = [folder, *folder.glob("checkpoint-*"), *folder.glob("checkpoints/checkpoint-*")]
    complete = [each for each in found if _is_complete(each)]
    if not complete:
        raise TrainingError(
            f"trainer.resume: {folder} holds no complete checkpoint; give the folder of a run of train.py"
        )
    return max(complete, key=lambda each: int(each.name.rpartition("-")[2]))


def _is_complete(folder: Path) -> bool:
    if not all(any(folder.glob(name)) for name in COMPLETE):
        return False
    try:
        json.loads((folder / STATE).read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
