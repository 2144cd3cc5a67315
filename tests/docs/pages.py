"""Files and commands that a page of the documentation quotes."""

import re
import shlex
from pathlib import Path

from scripts import REPOSITORY

DOCS = REPOSITORY / "docs"
SCRIPTS = ("extract.py", "evaluate.py", "train.py", "prune.py", "explore.py")


def files_on(page: Path) -> dict[str, str]:
    """Content of each fenced block whose first line is a comment with a file name, by that name."""
    found = {}
    for block in re.findall(r"^```(?:yaml|python)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        if name := re.match(r"# (mine/[\w./-]+\.(?:yaml|py))\b", block):
            found[name[1]] = block
    return found


def commands_on(page: Path) -> list[list[str]]:
    """Arguments after ``python`` of each quoted command that starts one of the scripts."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    quoted = re.findall(r"^(?: {4})?(python .*)$", text, re.M)
    lines = [shlex.split(line, comments=True)[1:] for line in quoted]
    return [words for words in lines if words and words[0] in SCRIPTS]


def code_on(page: Path) -> list[str]:
    """Fenced blocks that use the public API."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [block for block in blocks if block.startswith("import fbn_exp")]
