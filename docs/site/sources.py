"""Pages of the documentation site that show a file of the repository as it is."""

import ast
import json
from base64 import b64decode
from pathlib import Path

LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml"}
HEAD = "---\nsearch:\n  exclude: true\n---\n\n"


def source_page(path: Path, name: Path) -> str:
    """Show a file in full, or list the modules of a folder with the first line of their docstrings.

    Parameters
    ----------
    path : Path
        The file or folder.
    name : Path
        Its path within the repository, the page's title.
    """
    if path.is_dir():
        return f"{HEAD}# `{name.as_posix()}/`\n\n{_modules(path)}"
    # more ticks than any file holds in a row
    return (
        f"{HEAD}# `{name.as_posix()}`\n\n"
        f"`````{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text(encoding='utf-8')}`````\n"
    )


def _modules(folder: Path) -> str:
    rows = [
        f"| `{file.relative_to(folder).as_posix()}` | {_summary(file)} |"
        for file in sorted(folder.rglob("*.py"))
    ]
    return "\n".join(["| module | what it holds |", "|---|---|", *rows, ""])


def _summary(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split()).replace("|", "\\|")


def notebook_page(text: str) -> tuple[str, dict[str, bytes]]:
    """Show a notebook's cells, with the text that they printed and the pictures that they drew.

    Parameters
    ----------
    text : str
        The notebook, as json.

    Returns
    -------
    page : str
        Markdown.
    pictures : dict of str to bytes
        PNG files, by the names with which the page links to them.
    """
    parts, pictures = [], {}
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"tour_{len(pictures)}.png"
                pictures[name] = b64decode("".join(data["image/png"]))
                parts.append(f"![what the cell drew]({name})")
            else:
                printed = output.get("text") or data.get("text/plain", "")
                parts.append(f"```text\n{''.join(printed)}\n```")
    return "\n\n".join(parts) + "\n", pictures
