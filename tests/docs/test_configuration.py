"""docs/configuration.md is what its command makes now, and says something of every field."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import REPOSITORY

from fbn_exp.config.register import SCHEMAS

PAGE = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_schemas_and_yamls_say_now():
    done = subprocess.run(
        [sys.executable, "docs/make_configuration.py", "--print"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == PAGE, "docs/configuration.md is old: python docs/make_configuration.py"


def test_every_line_has_an_entry_in_every_column_but_what_an_option_sets():
    head: list[str] = []
    for line in PAGE.splitlines():
        cells = [each.strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            head = []
        elif not head:
            head = cells
        else:
            assert len(cells) == len(head), line
            empty = {name for name, text in zip(head, cells, strict=True) if not text}
            assert empty <= {"sets", "class in `fbn_exp`"}, line
    assert PAGE.count("| field | type | default | what it is |") > 20


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_has_its_fields_on_the_page(name):
    for field in SCHEMAS[name].__dataclass_fields__:
        section = f"[{field}](#{field})" in PAGE or f"### {field}\n" in PAGE
        assert field.startswith("_") or f"| `{field}` |" in PAGE or section, field


def test_every_option_is_on_the_page():
    conf = REPOSITORY / "conf"
    files = [file.relative_to(conf).with_suffix("") for file in conf.rglob("*.yaml") if file.parent != conf]
    names = {Path(*file.parts[1:]).as_posix() for file in files if file.parts[0] != "hydra"}
    assert len(names) > 40
    assert {name for name in names if f"| `{name}` |" not in PAGE} == set()
