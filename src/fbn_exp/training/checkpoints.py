"""Find complete checkpoints of the training loop, and say which file of a damaged one cannot be read."""

import json
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from fbn_exp.core.errors import TrainingError
from fbn_exp.core.files import changed_files, file_digest, write_json

log = logging.getLogger(__name__)

TRAINED = "trained.safetensors"
STATE = "trainer_state.json"
OPTIMIZER, SCHEDULER, GENERATORS = "optimizer.pt", "scheduler.pt", "rng_state*.pth"
# exceptions observed for damaged files; torch reads them without unpickling anything but tensors
DAMAGED = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ImportError),
    *(pickle.UnpicklingError, SafetensorError),
)
# files of a checkpoint that can be resumed; the state is written last
COMPLETE = (TRAINED, OPTIMIZER, SCHEDULER, GENERATORS, STATE)

# sha256 of the files of a checkpoint, by name; each rank writes those of its own
DIGESTS = "digests*.json"


def last_checkpoint(folder: Path) -> Path:
    """Find the newest complete checkpoint: ``folder`` itself, or in it or its ``checkpoints``.

    A run that is killed while it writes a checkpoint leaves it incomplete; it is passed over.

    Raises
    ------
    TrainingError
        If there is no complete checkpoint, or a file of the newest one was changed.
    """
    candidates = [folder, *folder.glob("checkpoint-*"), *folder.glob("checkpoints/checkpoint-*")]
    complete = [checkpoint for checkpoint in candidates if _is_complete(checkpoint)]
    if not complete:
        raise TrainingError(
            f"trainer.resume: {folder} holds no complete checkpoint; give the folder of a run of train.py"
        )
    newest = max(complete, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]))
    require_unchanged(newest)
    return newest


def seal(folder: Path, rank: int) -> None:
    """Write digests of the files of a checkpoint that this rank has written, rank 0 all but other ranks'."""
    own = f"rng_state_{rank}.pth"
    files = [folder / own] if rank else sorted(folder.iterdir())
    mine = [file for file in files if file.name == own or not file.name.startswith(("rng_state_", "digests"))]
    write_json(folder / f"digests-rank{rank}.json", {file.name: file_digest(file) for file in mine})


def require_unchanged(folder: Path) -> None:
    """Check the files of a checkpoint against their digests.

    Raises
    ------
    TrainingError
        If a file is missing or changed; the message names it.
    """
    written = sorted(folder.glob(DIGESTS))
    if not written:
        log.warning("%s has no digests: nothing shows whether it was changed", folder)
    for file in written:
        try:
            changed = changed_files(folder, json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError, RecursionError):
            changed = [file.name]
        if changed:
            raise TrainingError(
                f"trainer.resume: {folder} cannot be resumed, {changed[0]} is damaged or of another run (its "
                "digest shows it): remove that folder to resume from the checkpoint before it"
            )


def _is_complete(folder: Path) -> bool:
    if not all(any(file.is_file() for file in folder.glob(name)) for name in COMPLETE):
        return False
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(state, dict) and type(state.get("global_step")) is int


@contextmanager
def readable(folder: str | Path | None, *files: str) -> Iterator[None]:
    """Turn an exception while files of a checkpoint are read into an error that names them.

    Parameters
    ----------
    folder : str or Path or None
        The checkpoint.
    *files : str
        Names of the files that are read, the only ones that the error can be about.

    Raises
    ------
    TrainingError
        If a file is damaged, or of another run.
    """
    try:
        yield
    except DAMAGED as error:
        reason = f"{type(error).__name__}: {(str(error).strip() or repr(error)).splitlines()[0]:.120}"
        raise TrainingError(
            f"trainer.resume: {folder} cannot be resumed, {' or '.join(files)} is damaged or of another run "
            f"({reason}): remove that folder to resume from the checkpoint before it"
        ) from error
