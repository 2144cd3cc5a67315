"""Remarks of the program on the jobs of a step, each of them once."""

from page import counted, folded_text
from results import Results

# remarks beyond which they are folded away
FEW = 2


def remarks(results: Results, step: str) -> str:
    """List the remarks of a step's sweep, with the jobs that they are about; empty if there are none.

    Parameters
    ----------
    results : Results
        Results of a model.
    step : str
        The step.
    """
    file = f"{step}/sweep/remarks.csv"
    if not (results.folder / file).is_file():
        return ""
    table, n_jobs = results.table(file, {"jobs": str}), len(results.table(f"{step}/sweep/jobs.csv"))
    said = [
        f"- {remark}{_about(list(jobs), n_jobs)}"
        for remark, jobs in table.groupby("remark", sort=False)["jobs"]
    ]
    if not said:
        return ""
    text = "\n".join(said)
    if len(said) > FEW:
        return folded_text(f"{counted(len(said), 'remark')} of the program", text)
    return f"Remarks of the program:\n\n{text}\n"


def _about(jobs: list[str], of: int) -> str:
    """Jobs that a remark is about, unless it is about all."""
    numbers = sorted({int(number) for each in jobs for number in each.split(",")})
    if len(numbers) == of:
        return ""
    return f" ({'job' if len(numbers) == 1 else 'jobs'} {', '.join(map(str, numbers))} of {of})"
