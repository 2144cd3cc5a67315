"""What docstrings and comments say of the fields of a configuration schema."""

import dataclasses
import enum
import functools
import inspect
import re
import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any


class Reference(typing.NamedTuple):
    """A field in a docstring: its type in words, and what it is."""

    kind: str
    text: str


def documented(docstring: str | None) -> dict[str, Reference]:
    """Entries of the section Attributes of a numpydoc docstring."""
    found = {}
    for section in re.finditer(r"Attributes\n-+\n((?:.+\n?)*)", inspect.cleandoc(docstring or "")):
        for entry in re.finditer(r"^(\S.*)\n((?: +.*\n?)*)", section[1], re.MULTILINE):
            names, _, kind = entry[1].partition(" : ")
            for name in names.split(", "):
                found[name] = Reference(kind, " ".join(entry[2].split()))
    return found


@functools.cache
def references(schema: type, general: bool) -> dict[str, Reference]:
    """Fields of a schema in its docstrings.

    Parameters
    ----------
    schema : type
        A dataclass.
    general : bool
        Prefer what a base says, which holds for all options of a group.
    """
    found: dict[str, Reference] = {}
    for each in reversed(schema.__mro__) if general else schema.__mro__:
        for name, reference in documented(each.__dict__.get("__doc__")).items():
            found.setdefault(name, reference)
    return found


@functools.cache
def commented(schema: type) -> dict[str, str]:
    """Comment above each field in the source of a schema."""
    return comments_above(inspect.getsource(schema), r"    (\w+): ")


def comments_above(source: str, key: str) -> dict[str, str]:
    """Comment above each line that starts with ``key``, by the key's group."""
    found, comment = dict[str, str](), list[str]()
    for line in source.splitlines():
        if line.lstrip().startswith("# "):
            comment.append(line.lstrip()[2:])
            continue
        if (match := re.match(key, line)) and comment:
            found[match[1]] = " ".join(comment)
        comment = []
    return found


def mentioned(schema: type, name: str) -> str:
    """Sentences of a schema's docstring, or else a comment of another field, that name a field."""
    words = " ".join((schema.__doc__ or "").split())
    said = [each for each in re.split(r"(?<=\.)\s+", words) if f"``{name}``" in each]
    return " ".join(said) or next((each for each in commented(schema).values() if f"``{name}``" in each), "")


def first_sentence(kind: Any) -> str:
    """First line of a docstring, of a type made here."""
    made_here = str(getattr(kind, "__module__", "")).startswith("fbn_exp")
    return (kind.__doc__ or "").split("\n")[0] if made_here else ""


class Line(typing.NamedTuple):
    """A field without its default, as it stands in a table."""

    name: str
    kind: str
    text: str


def line_of(
    schema: type, name: str, comments: Mapping[str, str] | None = None, general: bool = False
) -> Line:
    """What is known of a field: by an entry in a docstring, a comment, a sentence, its own type."""
    kind = typing.get_type_hints(schema)[name]
    reference = references(schema, general).get(name)
    bases = [each for each in schema.__mro__ if dataclasses.is_dataclass(each)]
    said = [reference.text] if reference else []
    said += [commented(each).get(name, "") for each in bases]
    said += [*(mentioned(each, name) for each in bases), (comments or {}).get(name, ""), first_sentence(kind)]
    text = next(filter(None, [*said, first_sentence(schema)]))
    return Line(name, kind_in_words(kind, reference), tidy(text))


def tidy(text: str) -> str:
    """Text as a sentence, in the words of a yaml."""
    if not text:
        return ""
    return re.sub(r"\bNone\b", "null", text[0].upper() + text[1:].rstrip(".?") + "?."[text[-1] != "?"])


def kind_in_words(kind: Any, reference: Reference | None = None) -> str:
    """A field's type, as a person would say it; of an enumeration, its values."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, UnionType):
        words = [kind_in_words(each, reference) for each in arguments if each is not NoneType]
        return " or ".join([*words, "null"])
    if origin is list:
        return f"list of {kind_in_words(arguments[0])}"
    if origin is dict:
        return "mapping"
    if kind is Any:
        return reference.kind.replace("None", "null") if reference else "any"
    if issubclass(kind, enum.Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    return "group" if dataclasses.is_dataclass(kind) else kind.__name__
