"""What an experiment decided, from the results of its sweep: table, picture, verdict and page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from fbn_exp.experiments.decisive.config import (
    DecisiveConfig,
    ICAClaimConfig,
    PreservationConfig,
    ShareConfig,
    SinkConfig,
)
from fbn_exp.experiments.decisive.ica import verdict as ica_verdict
from fbn_exp.experiments.decisive.ica.table import ica_tables
from fbn_exp.experiments.decisive.jobs import Jobs
from fbn_exp.experiments.decisive.preservation import share, table, verdict
from fbn_exp.experiments.decisive.sink import sink_table
from fbn_exp.experiments.decisive.sink_verdict import PAGE_ONLY, readable, sink_verdict
from fbn_exp.experiments.decisive.verdict import Verdict, page, paragraphs
from fbn_exp.report.presentation import Presentation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Decided:
    """What came out of an experiment.

    Attributes
    ----------
    presentation : Presentation
        Table, picture and verdict.
    page : str
        All of it on a page in markdown, which lies beside the folder ``figures``.
    """

    presentation: Presentation
    page: str


def decide(config: DecisiveConfig, jobs: Jobs, model: str) -> Decided:
    """Judge an experiment by the rule that its config states.

    Parameters
    ----------
    config : DecisiveConfig
        What was said before the run.
    jobs : Jobs
        Results of its sweep, of at least one job.
    model : str
        Name of the model.
    """
    if isinstance(config, SinkConfig):
        found = _sink(config, jobs, model)
    elif isinstance(config, PreservationConfig):
        found = _preservation(config, jobs, config.named(model))
    elif isinstance(config, ICAClaimConfig):
        found = _ica(config, jobs, model)
    elif isinstance(config, ShareConfig):
        found = _share(config, jobs, config.named(model))
    else:
        raise TypeError(f"no rule judges a {type(config).__name__}")
    name, question = f"decisive_{config.name.value}", " ".join(config.question.split())
    said = paragraphs(config, found.verdict)
    presentation = Presentation(
        tables={"decisive": found.table, **found.more},
        figures={name: found.draw},
        title=question,
        # the page has all columns
        rows=found.readable.drop(columns=list(found.page_only), errors="ignore"),
        words=tuple(map(str, found.readable))[:1],
        lines=[f"{head}: {text}" for head, text in said.items()],
    )
    return Decided(presentation, page(question, said, found.readable, [f"figures/{name}.png"]))


@dataclass(frozen=True, eq=False)
class _Found:
    """Table with all numbers, the same for reading, verdict, picture, columns of the page, other tables."""

    table: pd.DataFrame
    readable: pd.DataFrame
    verdict: Verdict
    draw: Callable[[], "Figure"]
    page_only: Sequence[str]
    more: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def _sink(config: SinkConfig, jobs: Jobs, model: str) -> _Found:
    table = sink_table(config, jobs)

    def draw() -> "Figure":
        from fbn_exp.experiments.decisive.sink_figure import sink_figure  # late: imports matplotlib

        return sink_figure(config, table, model)

    return _Found(table, readable(config, table), sink_verdict(config, table, model), draw, PAGE_ONLY)


def _preservation(config: PreservationConfig, jobs: Jobs, model: str) -> _Found:
    found = table.preservation_table(config, jobs)

    def draw() -> "Figure":
        from fbn_exp.experiments.decisive.preservation.figure import preservation_figure  # late: matplotlib

        return preservation_figure(config, found, model)

    return _Found(
        found,
        verdict.preservation_readable(config, found),
        verdict.preservation_verdict(config, found, model),
        draw,
        verdict.PAGE_ONLY,
    )


def _share(config: ShareConfig, jobs: Jobs, model: str) -> _Found:
    found = share.share_table(config, jobs)

    def draw() -> "Figure":
        from fbn_exp.experiments.decisive.preservation.share_figure import share_figure  # late: matplotlib

        return share_figure(config, found, model)

    return _Found(
        found,
        share.share_readable(config, found),
        share.share_verdict(config, found, model),
        draw,
        share.PAGE_ONLY,
    )


def _ica(config: ICAClaimConfig, jobs: Jobs, model: str) -> _Found:
    directions, methods = ica_tables(config, jobs)

    def draw() -> "Figure":
        from fbn_exp.experiments.decisive.ica.figure import ica_figure  # late: imports matplotlib

        return ica_figure(config, directions, model)

    judged = ica_verdict.ica_verdict(config, directions, methods, model)
    readable = ica_verdict.ica_readable(config, methods)
    tables = {"decisive_methods": methods}
    return _Found(directions, readable, judged, draw, ica_verdict.PAGE_ONLY, tables)


def model_in_words(name: str) -> str:
    """Short name of a model: last part of a path or identifier, without ending and quantisation."""
    last = name.rstrip("/").rpartition("/")[2]
    return re.sub(r"[.-]q\d\w*$", "", last.removesuffix(".gguf"), flags=re.IGNORECASE)
