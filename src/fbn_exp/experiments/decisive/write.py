"""What an experiment decided, from the results of its sweep: table, picture, verdict and page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fbn_exp.experiments.decisive.config import DecisiveConfig, SinkConfig
from fbn_exp.experiments.decisive.sink import Jobs, sink_table
from fbn_exp.experiments.decisive.sink_verdict import PAGE_ONLY, readable, sink_verdict
from fbn_exp.experiments.decisive.verdict import page, paragraphs
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
    assert isinstance(config, SinkConfig)
    table = sink_table(config, jobs)
    shown, said = readable(config, table), paragraphs(config, sink_verdict(config, table, model))

    def draw() -> "Figure":
        from fbn_exp.experiments.decisive.sink_figure import sink_figure  # late: imports matplotlib

        return sink_figure(config, table, model)

    name, question = f"decisive_{config.name.value}", " ".join(config.question.split())
    presentation = Presentation(
        tables={"decisive": table},
        figures={name: draw},
        title=question,
        # the page has all columns
        rows=shown.drop(columns=list(PAGE_ONLY)),
        words=tuple(map(str, shown))[:1],
        lines=[f"{head}: {text}" for head, text in said.items()],
    )
    return Decided(presentation, page(question, said, shown, [f"figures/{name}.png"]))


def model_in_words(name: str) -> str:
    """Short name of a model: the last part of a path or identifier, without the ending of its file."""
    return name.rstrip("/").rpartition("/")[2].removesuffix(".gguf")
