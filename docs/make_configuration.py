"""Write docs/configuration.md from the schemas and conf/; run as ``python docs/make_configuration.py``."""

import dataclasses
import enum
import itertools
import re
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import MISSING
from schema_docs import Line, comments_above, first_sentence, line_of, tidy

from fbn_exp.config.register import SCHEMAS

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "configuration.md"
SCRIPTS = ("extract", "evaluate", "train", "prune", "explore")
# as data flows
GROUPS = (
    *(
        "model",
        "dataset",
        "signals",
        "method",
        "reliability",
        "threshold",
        "intervention",
        "controls",
        "benchmark",
        "analysis",
    ),
    *("task", "trainable", "forgetting", "tracking", "launch", "experiment", "hparams_search"),
)
# a longer default is cut
LONGEST = 100
INTRODUCTION = """# Configuration

Made from the schemas, `src/fbn_exp/<package>/config.py`, and `conf/`: `python docs/make_configuration.py`.

`group=option` chooses a file of `conf/<group>/`, `group.field=value` sets a field; several values with `-m`
are a sweep. `python extract.py --cfg job` prints the composed configuration and runs nothing. Names, types
and choices are checked when it is composed, ranges before a model loads. A *required* field has no default,
`${seed}` is what the root field `seed` is, `dataset@benchmark.dataset=news` chooses the dataset of a
benchmark. What an option *sets* differs from the defaults in the tables of fields below it.
"""


@dataclasses.dataclass(frozen=True)
class Option:
    """One yaml of a group, its schema, and what it sets, by field."""

    name: str
    description: str
    schema: type | None
    values: dict[str, Any]

    def value(self, field: str) -> Any:
        """What a field is if nobody sets it."""
        assert self.schema is not None
        return self.values.get(field, default(self.schema, field))


def field_table(lines: Sequence[Line], defaults: Mapping[str, Any]) -> str:
    """A line for each field."""
    rows = [[f"`{name}`", kind, value_in_words(defaults[name]), text] for name, kind, text in lines]
    return table(("field", "type", "default", "what it is"), rows)


def flow(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, list):
        value = [each.value if isinstance(each, enum.Enum) else each for each in value]
    if isinstance(value, list | dict):
        dumped = str(yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)).strip()
        return dumped if len(dumped) < LONGEST else f"{dumped[:LONGEST]}…"
    if isinstance(value, bool):
        return str(value).lower()
    text = "null" if value is None else str(value).replace("\n", "\\n") or "''"
    return text if len(text) < LONGEST else f"{text[:LONGEST]}…"


def value_in_words(value: Any) -> str:
    """A default, for a table."""
    return "*required*" if value == MISSING else f"`{flow(value)}`"


def cell(text: str) -> str:
    """Text that fits into a table."""
    return re.sub(r":class:`(\w+)`", r"`\1`", text).replace("``", "`").replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table; a column without entries is left out."""
    used = [place for place in range(len(head)) if any(row[place] for row in rows)]
    lines = [[head[place] for place in used], ["---"] * len(used)]
    lines += [[cell(row[place]) for place in used] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def default(schema: type, name: str) -> Any:
    """Default of a field of a schema, as a yaml would write it."""
    field = next(each for each in dataclasses.fields(schema) if each.name == name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.default is dataclasses.MISSING:
        return MISSING
    return field.default.value if isinstance(field.default, enum.Enum) else field.default


def names_of(schema: type) -> list[str]:
    """Fields that are set by hand."""
    return [each.name for each in dataclasses.fields(schema) if not each.name.startswith("_")]


def read_option(group: str, file: Path) -> Option:
    """A yaml of a group."""
    lines = file.read_text(encoding="utf-8").splitlines()
    content: dict[str, Any] = yaml.safe_load("\n".join(lines)) or {}
    schema, values = None, dict[str, Any]()
    for entry in content.pop("defaults", []):
        (named, chosen), *_ = entry.items() if isinstance(entry, dict) else [(entry, None)]
        if match := re.match(r"/schema/(\w+)@(_here_|launch|method|decisive)$", named):
            schema = SCHEMAS[match[1]]
            values |= content.pop(match[2], {})
        elif match := re.match(r"/dataset@(\w+)$", named):
            inside = content.pop(match[1], {})
            values[match[1]] = " ".join(
                [f"dataset={chosen}", *(f"{key}={flow(inside[key])}" for key in inside)]
            )
    content.pop("hydra", None)
    name = file.relative_to(CONF / group).with_suffix("").as_posix()
    comment = itertools.takewhile(
        lambda line: line.startswith("# "), (x for x in lines if "@package" not in x)
    )
    return Option(name, " ".join(line[2:] for line in comment), schema, values | content)


@dataclasses.dataclass(frozen=True)
class Fields:
    """Fields that several options have in common, with the default of most."""

    options: tuple[Option, ...]
    lines: tuple[Line, ...]
    defaults: dict[str, Any]


def fields_of(options: Sequence[Option]) -> list[Fields]:
    """Fields of a group, those of every option first; they differ by what they are, not by their default."""
    having = [option for option in options if option.schema is not None]
    schemas = list(dict.fromkeys(option.schema for option in having if option.schema is not None))
    common = [name for name in names_of(schemas[0]) if all(name in names_of(each) for each in schemas)]
    users: dict[Line, list[Option]] = {}
    for option in having:
        assert option.schema is not None
        for name in names_of(option.schema):
            schema, general = (schemas[0], True) if name in common else (option.schema, False)
            users.setdefault(line_of(schema, name, general=general), []).append(option)
    together: dict[tuple[str, ...], list[Line]] = {}
    for line, own in users.items():
        together.setdefault(tuple(option.name for option in own), []).append(line)
    found = []
    for names, lines in sorted(together.items(), key=lambda each: -len(each[0])):
        own = [option for option in having if option.name in names]
        found.append(Fields(tuple(own), tuple(lines), {line.name: agreed(own, line.name) for line in lines}))
    return found


def agreed(options: Sequence[Option], field: str) -> Any:
    """Value of a field in all options, or its default where they differ."""
    assert options[0].schema is not None
    values = [option.value(field) for option in options]
    return values[0] if values.count(values[0]) == len(values) else default(options[0].schema, field)


def group_section(group: str) -> Iterator[str]:
    """Options of a group, and their fields."""
    options = [read_option(group, file) for file in sorted((CONF / group).rglob("*.yaml"))]
    tables = fields_of(options) if any(option.schema for option in options) else []
    rows = []
    for option in options:
        shown = {
            name: value for each in tables if option in each.options for name, value in each.defaults.items()
        }
        sets = {name: option.value(name) for name in shown if option.value(name) != shown[name]}
        target = getattr(option.schema, "_target_", MISSING)
        rows.append(
            [
                f"`{option.name}`",
                tidy(option.description),
                "" if target == MISSING else f"`{target.removeprefix('fbn_exp.')}`",
                ", ".join(f"`{name}={flow(value)}`" for name, value in sets.items()),
            ]
        )
    yield f"## {group}\n"
    yield table(("option", "what it is", "class in `fbn_exp`", "sets"), rows)
    for each in tables:
        names = ", ".join(f"`{option.name}`" for option in each.options)
        yield f"Fields of {'every option' if len(each.options) == len(options) else names}:\n"
        yield field_table(each.lines, each.defaults)


def root_of(script: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What the root yaml of a script, and the one that all share, set; and the option of each group."""
    values, options = dict[str, Any](), dict[str, str]()
    for name in ("common", script):
        content = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
        for entry in content.pop("defaults"):
            if isinstance(entry, dict):
                options |= {str(key).strip("/"): str(each) for key, each in entry.items()}
        values |= content
    for group, option in options.items():
        inside = values.get(group) or {}
        words = [f"`{option}`", *(f"`{group}.{key}={flow(inside[key])}`" for key in inside)]
        options[group] = "–" if option == "None" else " ".join(words)
    return values, options


def script_section() -> Iterator[str]:
    """What each script composes, its own fields, and the parts that are no groups."""
    roots = {script: root_of(script) for script in SCRIPTS}
    rows = [
        [f"[{each}](#{each})", *(roots[script][1].get(each, "–") for script in SCRIPTS)] for each in groups()
    ]
    yield "## The three scripts\n"
    yield "Each takes these options unless told:\n"
    yield table(("group", *(f"`{script}.py`" for script in SCRIPTS)), rows)
    shared = set(names_of(SCHEMAS["extract"]))
    for script, (values, _) in roots.items():
        schema = SCHEMAS[script]
        names = [name for name in plain_fields(schema) if script == "extract" or name not in shared]
        defaults = {name: values.get(name, default(schema, name)) for name in names}
        yield f"Root fields of {'all three' if script == 'extract' else f'`{script}.py`'}:\n"
        yield field_table([line_of(schema, name, yaml_comments("", script)) for name in names], defaults)
    parts: dict[str, str] = {}
    for script, (values, _) in roots.items():
        for name, schema in parts_of(SCHEMAS[script]).items():
            names = [each for each in names_of(schema) if f"{name}.{each}" not in parts_of(SCHEMAS[script])]
            given = values.get(name, {})
            defaults = {each: given.get(each, default(schema, each)) for each in names}
            lines = [line_of(schema, each, yaml_comments("  ", script)) for each in names]
            of_all = "" if name.partition(".")[0] in shared else f" of `{script}.py`"
            title = f"### {name}\n\n`{name}.<field>`{of_all}. {first_sentence(schema)}\n\n"
            parts.setdefault(name, title + field_table(lines, defaults))
    yield from parts.values()


def plain_fields(root: type) -> list[str]:
    """Fields of a script's root that hold one value."""
    kinds = typing.get_type_hints(root)
    return [
        each for each in names_of(root) if each not in GROUPS and not dataclasses.is_dataclass(kinds[each])
    ]


def parts_of(root: type) -> dict[str, type]:
    """Fields of a script's root that hold further fields, and are no groups."""
    kinds = typing.get_type_hints(root)
    parts: dict[str, type] = {}
    for name in names_of(root):
        if name not in GROUPS and dataclasses.is_dataclass(kinds[name]):
            part = typing.cast(type, kinds[name])
            parts |= {name: part, **{f"{name}.{inner}": kind for inner, kind in parts_of(part).items()}}
    return parts


def yaml_comments(indent: str, script: str) -> dict[str, str]:
    """Comments above the keys of the root yamls, at one depth."""
    texts = [(CONF / f"{name}.yaml").read_text(encoding="utf-8") for name in ("common", script)]
    return comments_above("\n".join(texts), rf"{indent}(\w+):")


def groups() -> list[str]:
    """Groups that there are."""
    return [group for group in GROUPS if (CONF / group).is_dir()]


def page() -> str:
    """The whole page."""
    return "\n".join(
        [INTRODUCTION, *script_section(), *(part for group in groups() for part in group_section(group))]
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        print(page(), end="")
    else:
        PAGE.write_text(page(), encoding="utf-8")
