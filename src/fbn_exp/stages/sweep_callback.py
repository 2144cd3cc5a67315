"""Hydra callback that isolates failed jobs of a sweep and combines the results at its end."""

import contextlib
import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from fbn_exp.core.checks import typed
from fbn_exp.core.errors import ConfigError, FbnError, print_exception, printable
from fbn_exp.core.files import as_disk_error, new_file
from fbn_exp.launch.settings import machine_rank
from fbn_exp.stages.cli import end, report_failed_jobs, report_failed_summary, report_finished_jobs
from fbn_exp.stages.scripts.interruption import remember
from fbn_exp.stages.scripts.own_folder import fingerprint, require_own_run, require_own_sweep

if TYPE_CHECKING:
    from fbn_exp.experiments.decisive.write import Decided
    from fbn_exp.stages.sweeps.sweep import Sweep

log = logging.getLogger(__name__)

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
SUBMITIT = "hydra_plugins.hydra_submitit_launcher."


class SweepSummary(Callback):
    """Record errors of failed jobs, let the others continue, and summarise the sweep when all have ended.

    Every machine of a job over several machines logs its errors; only the first one writes files.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse the folder of another run, before Hydra writes its configuration there."""
        folder = Path(config.hydra.run.dir)
        try:
            if (folder / "result.json").is_file():
                require_own_run(folder, fingerprint(config), _overwrites(config))
        except OmegaConfBaseException:
            # what only a job can resolve; it checks again
            return
        except ConfigError as error:
            end(error)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse the folder of another sweep, and count a job that submitit lost as failed.

        Otherwise the exception of such a job would end the sweep.
        """
        if str(config.hydra.launcher._target_).startswith(SUBMITIT):
            from fbn_exp.launch.submitted import take_over

            take_over()
        folder = Path(config.hydra.sweep.dir)
        remember("sweep", folder)
        try:
            require_own_sweep(folder, list(config.hydra.overrides.task), _overwrites(config))
        except ConfigError as error:
            end(error)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remove the error of an earlier attempt at the same job."""
        if machine_rank(config) == 0:
            (Path(config.hydra.runtime.output_dir) / "failed.txt").unlink(missing_ok=True)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write the error of a failed job into its folder, so that the basic sweeper continues.

        Optimising sweepers have rules for failed trials and receive the error.
        """
        if config.hydra.mode.name != "MULTIRUN":
            return
        if job_return.status is not JobStatus.FAILED:
            report_finished_jobs([str(config.hydra.job.num)])
            return
        error = job_return._return_value
        error = as_disk_error(error) or error
        text = printable(
            str(error) if isinstance(error, FbnError) else "".join(traceback.format_exception(error))
        )
        # also in memory: the disk of the job's folder can be full
        report_failed_jobs({str(config.hydra.job.num): text})
        if machine_rank(config) == 0:
            with contextlib.suppress(OSError):
                (Path(config.hydra.runtime.output_dir) / "failed.txt").write_text(text, encoding="utf-8")
        log.error(
            "job %s failed: %s", config.hydra.job.num, str(error).splitlines()[0] if str(error) else error
        )
        if config.hydra.sweeper._target_ == BASIC_SWEEPER:
            job_return.status, job_return.return_value = JobStatus.COMPLETED, None

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the sweep's tables and pictures and log them as one run.

        An error is recorded for the end of the script: Hydra would only warn, and end with exit status 0.
        """
        if machine_rank(config) > 0:
            return
        try:
            self._summarise(config)
        except Exception as error:
            text = str(as_disk_error(error) or error)
            report_failed_summary(f"{type(error).__name__}: {text}")
            if not isinstance(error, FbnError) and as_disk_error(error) is None:
                print_exception(type(error), error, error.__traceback__)

    def _summarise(self, config: DictConfig) -> None:
        from fbn_exp.report.console import show, show_places, show_remarks
        from fbn_exp.report.inference.sweep import present_scores
        from fbn_exp.report.pruning.words import present_ratios
        from fbn_exp.report.sweep.dose import present_doses
        from fbn_exp.report.sweep.jobs import present_jobs
        from fbn_exp.report.sweep.per_job import present_per_job
        from fbn_exp.report.training import present_sweep
        from fbn_exp.stages.build import built
        from fbn_exp.stages.sweeps.sweep import collect, summarise
        from fbn_exp.tracking.base import Tracker

        folder = Path(config.hydra.sweep.dir)
        stage = str(config.hydra.job.name)
        settings = OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("hydra", "run")])
        sweep = collect(folder)
        report_failed_jobs(sweep.failed)
        report_finished_jobs(job.name for job in sweep.jobs if not job.error)
        decided = _decided(sweep, config)
        figures = summarise(
            sweep,
            built(config.tracking, Tracker),  # type: ignore[type-abstract]
            stage,
            _described(settings),
            decided,
        )
        if sweep.forgetting.empty and sweep.scores.empty and sweep.pruning.empty:
            show(present_jobs(sweep.table))
        if not sweep.forgetting.empty:
            show(present_sweep(sweep.forgetting))
        if not sweep.pruning.empty:
            show(present_ratios(sweep.pruning))
        if not sweep.doses.empty:
            show(present_doses(sweep.doses))
        if "p_corrected" in sweep.scores:
            results = sweep.scores.drop_duplicates(["task", "metric"])
            show((present_scores if len(results) == 1 else present_per_job)(sweep.scores))
        show_remarks(sweep.remark_lines)
        if decided is not None:
            show(decided.presentation)
            with new_file(folder / "sweep" / "decisive.md") as partial:
                partial.write_text(decided.page, encoding="utf-8")
        pictures = [("Picture:", file) for file in figures.values()]
        show_places(("Jobs:   ", folder), ("Tables: ", folder / "sweep"), *pictures)


def _decided(sweep: "Sweep", config: DictConfig) -> "Decided | None":
    """Judge a sweep that decides a question; None for another one, and if no job has finished."""
    from fbn_exp.experiments.decisive.config import DecisiveConfig
    from fbn_exp.experiments.decisive.jobs import Jobs
    from fbn_exp.experiments.decisive.write import decide, model_in_words

    if config.get("decisive") is None or sweep.scores.empty:
        return None
    # what is said may name a choice of the sweep, and the jobs leave Hydra without one
    HydraConfig.instance().set_config(config)
    said = typed(config.decisive, DecisiveConfig)
    jobs = Jobs(sweep.scores, sweep.items, sweep.draws, sweep.table, sweep.draw_items)
    return decide(said, jobs, model_in_words(config.model.name))


def _described(config: DictConfig) -> dict[str, Any]:
    """Convert a config to plain containers; what only a job has, as ${hydra:job.num}, stays as written."""
    from fbn_exp.stages.build import plain

    try:
        return plain(config)
    except (InterpolationResolutionError, MissingMandatoryValue):
        written = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
        assert isinstance(written, dict)
        return {str(key): value for key, value in written.items()}


def _overwrites(config: DictConfig) -> bool:
    """Return True if the folder of another run may be written over; own scripts may lack the field."""
    return bool(OmegaConf.select(config, "overwrite", default=False))
