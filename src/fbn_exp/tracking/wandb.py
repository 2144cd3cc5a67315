"""Tracker that logs to Weights & Biases."""

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fbn_exp.core.errors import TrackingError
from fbn_exp.tracking.base import RunInfo, TrackedRun, Tracker
from fbn_exp.tracking.config import WandbConfig, WandbMode

if TYPE_CHECKING:
    import pandas as pd
    import wandb

log = logging.getLogger(__name__)

# of an artifact, as wandb allows it, and of a run, as its lists show it
LONGEST_NAME, LONGEST_RUN_NAME = 128, 64
# where the next setting begins in a list of overrides, whose values may hold commas
SETTING = re.compile(r",(?=[+~]*[\w./@]+=)")
# settings that say where a run goes, and folders that are called the same in all runs
PLACES, SAME_FOLDERS = ("tracking", "launch", "hydra", "cache", "overwrite"), ("networks", "checkpoint")
# folder in which wandb prepares artifacts
DATA_VARIABLE = "WANDB_DATA_DIR"
PRIVATE_LAST = (WandbMode.online, WandbMode.offline, WandbMode.disabled)
OLD_MODE_NAMES = {"run": "online", "dryrun": "offline"}
# wandb posts usage counts and its own errors to its server at the end of a run, in mode offline as well
REPORTS_VARIABLE = "WANDB_ERROR_REPORTING"


class WandbTracker(WandbConfig, Tracker):
    """Tracker that logs to Weights & Biases.

    The files of a run are in ``<run folder>/wandb``; its job type is the stage, its group the sweep. The
    files of an offline run are uploaded by ``wandb sync``.

    ``WANDB_MODE`` in the environment can only make a run more private: of the environment and ``mode``,
    the one that comes later in online, offline, disabled wins, and a difference is logged. ``project``
    wins over ``WANDB_PROJECT``; ``WANDB_ENTITY`` and ``WANDB_TAGS`` apply if ``entity`` and ``tags`` are
    empty. wandb's reports about itself are off unless ``WANDB_ERROR_REPORTING=true``.
    """

    @contextmanager
    def run(self, info: RunInfo) -> Iterator[TrackedRun]:
        """Open a wandb run.

        Raises
        ------
        TrackingError
            If wandb cannot start, for example without a key or a connection in mode online.
        """
        mode = more_private(self.mode, os.environ.get("WANDB_MODE"))
        if mode is WandbMode.disabled:
            yield TrackedRun()
            return
        opened = self._open(info, mode)
        try:
            yield _WandbRun(opened)
        except BaseException:
            opened.finish(exit_code=1)
            raise
        opened.finish(exit_code=0)

    def _open(self, info: RunInfo, mode: WandbMode) -> "wandb.Run":
        os.environ.setdefault(REPORTS_VARIABLE, "false")
        import wandb

        _require_writable_data()
        try:
            run = wandb.init(
                project=self.project,
                entity=self.entity,
                tags=self.tags or None,
                dir=info.folder,
                group=info.sweep,
                job_type=info.stage,
                name=short_name(info.name) or "defaults",
                config=dict(info.config),
                mode=mode.value,
                reinit="create_new",
                settings=wandb.Settings(silent=True, console="off"),
            )
        except (wandb.Error, ValueError, OSError) as error:
            choice = "tracking.mode=offline or tracking=none" if mode is WandbMode.online else "tracking=none"
            raise TrackingError(
                f"wandb cannot start with tracking.mode={mode.value}: choose {choice}, or mend this:\n{error}"
            ) from error
        log.info("wandb run: %s", run.url if mode is WandbMode.online else Path(run.dir).parent)
        return run


def _require_writable_data() -> None:
    """Refuse a folder for wandb's data that nothing can be written to, before anything is computed."""
    from wandb.env import get_data_dir

    # tables and networks pass through this folder below the user's data folder, or that of the variable
    folder = Path(get_data_dir()) / "artifacts" / "staging"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        named = os.environ.get(DATA_VARIABLE)
        where = f"{DATA_VARIABLE}={named}" if named else f"wandb's folder for data, {get_data_dir()},"
        raise TrackingError(
            f"{where} cannot be written to ({error.strerror}): set {DATA_VARIABLE} to another folder, or "
            "take tracking=none"
        ) from error


def more_private(asked: WandbMode, environment: str | None) -> WandbMode:
    """Return the more private of two modes; an unknown name is left for wandb to refuse."""
    environment = environment or ""
    name = OLD_MODE_NAMES.get(environment, environment)
    if name not in WandbMode.__members__:
        return asked
    wins = max(asked, WandbMode[name], key=PRIVATE_LAST.index)
    if asked.value != name:
        log.info("tracking.mode=%s and WANDB_MODE=%s: %s wins", asked.value, environment, wins.value)
    return wins


class _WandbRun(TrackedRun):
    """Logs everything to an open wandb run."""

    def __init__(self, run: "wandb.Run") -> None:
        self._run = run

    def metrics(self, values: Mapping[str, float]) -> None:
        self._run.log(dict(values))

    def remarks(self, lines: Sequence[str]) -> None:
        if lines:
            self._run.summary["remarks"] = list(lines)

    def table(self, name: str, frame: "pd.DataFrame") -> None:
        import wandb

        cells = frame.astype(object).where(frame.notna(), None).to_numpy()
        columns: list[str | int] = [str(column) for column in frame.columns]
        self._run.log({name: wandb.Table(columns=columns, data=cells, allow_mixed_types=True)})

    def figure(self, name: str, path: Path) -> None:
        import wandb

        self._run.log({name: wandb.Image(str(path))})

    def page(self, name: str, path: Path) -> None:
        import wandb

        # as it is: its policy for scripts would refuse what wandb adds
        self._run.log({name: wandb.Html(path, inject=False)})

    def networks(self, name: str, folder: Path, metadata: Mapping[str, Any]) -> None:
        with _results_first("the networks are not logged as an artifact"):
            self._run.log_artifact(_artifact(name, folder, metadata))

    def lineage(self, provenance: Mapping[str, Any], folder: Path | None = None) -> None:
        self._run.config.update({"networks_from": dict(provenance)}, allow_val_change=True)
        # use_artifact raises offline; the same files are the same version of the artifact
        if folder is not None and not self._run.offline:
            with _results_first("the run is not linked to the artifact of its networks"):
                self._run.use_artifact(_artifact(str(provenance["model"]), folder, provenance))


@contextmanager
def _results_first(lost: str) -> Iterator[None]:
    """Say what wandb refuses about artifacts: it comes at the end of a run, whose results are there."""
    import wandb

    try:
        yield
    # of a server: no connection, an artifact of the same name and another type, no room
    except (wandb.Error, ValueError, RuntimeError, OSError) as error:
        log.warning("wandb: %s: %s", lost, error)


def _artifact(name: str, folder: Path, metadata: Mapping[str, Any]) -> "wandb.Artifact":
    """Artifact of all files of networks."""
    import wandb

    allowed = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:LONGEST_NAME] or "networks"
    artifact = wandb.Artifact(allowed, type="networks", metadata=dict(metadata))
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        # without "immutable" wandb copies each file into its data folder
        artifact.add_file(str(path), name=path.relative_to(folder).as_posix(), policy="immutable")
    return artifact


def short_name(overrides: str) -> str:
    """Shorten a run's overrides to a name that fits into a list of runs.

    Keys keep their last part, and paths their last folder that is not the same in all runs; settings of
    where a run goes are left out.

    Examples
    --------
    >>> short_name("model=tiny,intervention.factor=2,networks=outputs/extract/2026-01-02/11-05-09/networks")
    'model=tiny,factor=2,networks=11-05-09'
    """
    parts = []
    for override in SETTING.split(overrides):
        key, equals, value = override.lstrip("+~").partition("=")
        if key.partition(".")[0] in PLACES:
            continue
        folders = [each for each in value.split("/") if each not in ("", *SAME_FOLDERS)]
        if "/" in value and folders:
            value = folders[-1].strip("[]")
        parts.append(f"{key.rpartition('.')[2]}{equals}{value}")
    name = ",".join(parts)
    return name if len(name) <= LONGEST_RUN_NAME else f"{name[: LONGEST_RUN_NAME - 1]}…"
