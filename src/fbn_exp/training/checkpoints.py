"""Find complete checkpoints of the training loop."""

import json
from pathlib import Path

from fbn_exp.core.errors import TrainingError

TRAINED = "trained.safetensors"
STATE = "trainer_state.json"
# files of a checkpoint that can be resumed; the state is written last
COMPLETE = (TRAINED, "optimizer.pt", "scheduler.pt", "rng_state*.pth", STATE)


def last_checkpoint(folder: Path) -> Path:
    """Find the newest complete checkpoint: ``folder`` itself, or in it or its ``checkpoints``.

    A run that is killed while it writes a checkpoint leaves it incomplete; it is passed over.

    Raises
    ------
    TrainingError
        If there is no complete checkpoint.
    """
    candidates = [folder, *folder.glob("checkpoint-*"), *folder.glob("checkpoints/checkpoint-*")]
    complete = [checkpoint for checkpoint in candidates if _is_complete(checkpoint)]
    if not complete:
        raise TrainingError(
            f"trainer.resume: {folder} holds no complete checkpoint; give the folder of a run of train.py"
        )
    return max(complete, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]))


def _is_complete(folder: Path) -> bool:
    if not all(any(folder.glob(name)) for name in COMPLETE):
        return False
    try:
        json.loads((folder / STATE).read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
