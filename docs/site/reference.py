"""Reference pages of the documentation site, from the public names of the package and their base classes."""

import inspect
from typing import Any

import fbn_exp

# page -> packages of fbn_exp whose public names it shows
SECTIONS = {
    "steps": ("Steps", ("api",)),
    "models": ("Models", ("models",)),
    "signals": ("Signals", ("signals",)),
    "methods": ("Methods", ("methods",)),
    "networks": ("Networks", ("networks",)),
    "thresholds": ("Thresholds", ("thresholds",)),
    "interventions": ("Interventions", ("interventions",)),
    "benchmarks": ("Benchmarks", ("benchmarks",)),
    "core": ("Errors and layout", ("core",)),
}


def pages() -> dict[str, str]:
    """Make the text of each reference page, by its place on the site."""
    values = {name: getattr(fbn_exp, name) for name in fbn_exp.__all__}
    made, rows = {}, []
    for page, (title, packages) in SECTIONS.items():
        own = {name: value for name, value in values.items() if _package(value) in packages}
        rows += [f"| [`{name}`][{_path(each)}] | {_summary(each)} |" for name, each in own.items()]
        made[f"reference/{page}.md"] = _page(title, list(own.values()))
    if len(rows) != len(values):
        raise RuntimeError(
            f"{len(values) - len(rows)} public names are on no reference page: docs/site/reference.py"
        )
    table = "\n".join(["| name | what it is |", "|---|---|", *rows])
    made["reference/index.md"] = f"# Public names\n\n`import fbn_exp as fbn` gives:\n\n{table}\n"
    return made


def _page(title: str, values: list) -> str:
    """Show the public objects of a page, then the classes that they extend and that hold their parameters."""
    bases = [base for value in values if inspect.isclass(value) for base in value.__mro__[1:]]
    extended = [base for base in dict.fromkeys(bases) if _is_ours(base) and base not in values]
    parts = [f"# {title}", *map(_directive, values)]
    if extended:
        parts += ["## What they extend", "Base classes, and the dataclasses that hold parameters."]
        parts += [f"{_directive(each)}\n    options:\n      heading_level: 3" for each in extended]
    return "\n\n".join(parts) + "\n"


def _directive(value: object) -> str:
    return f"::: {_path(value)}"


def _path(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _package(value: Any) -> str:
    return value.__module__.split(".")[1]


def _is_ours(value: Any) -> bool:
    return value.__module__.startswith("fbn_exp.")


def _summary(value: object) -> str:
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split()).replace("|", "\\|")
