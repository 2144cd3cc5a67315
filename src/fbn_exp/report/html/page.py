"""Write the content of a report as one html file without external resources or foreign scripts."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fbn_exp.benchmarks.lesions import known_lesions
from fbn_exp.core.errors import NetworksError
from fbn_exp.core.files import new_file
from fbn_exp.report.html.content import FORMAT, with_remarks_of, without_nan
from fbn_exp.report.html.templates import page_templates, source

TEMPLATE, STYLE, SCRIPT = "report.html", "report.css", "report.js"
DATA = re.compile(r'<script type="application/json" id="content">(.*?)</script>', re.DOTALL)


def write_report(content: dict[str, Any], file: Path) -> None:
    """Write the report under a temporary name, then rename it."""
    # file names can hold lone surrogates, which cannot be encoded
    page = rendered(content).encode("utf-8", "xmlcharrefreplace")
    with new_file(file, len(page)) as partial:
        partial.write_bytes(page)


def rendered(content: dict[str, Any]) -> str:
    """Render the report; the template escapes everything that comes from a model or a text."""
    environment = page_templates("fbn_exp.report.html")
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    style, script = (source(environment, name) for name in (STYLE, SCRIPT))
    return environment.get_template(TEMPLATE).render(
        content=content,
        # files of this package, not content
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _hash(text: str) -> str:
    """Hash that identifies an inline element in a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def content_of(file: Path) -> dict[str, Any]:
    """Read the content that a report carries.

    Raises
    ------
    NetworksError
        If the file is no report of this program.
    """
    match = DATA.search(file.read_text(encoding="utf-8"))
    content = json.loads(match.group(1)) if match else None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise NetworksError(f"{file} is no report of this program (format {FORMAT!r} expected)")
    return content


def refresh_lesions(file: Path, cache: Path) -> None:
    """Update the lesions of a report; needs neither the model nor the signals.

    Raises
    ------
    NetworksError
        If the file is no report of this program.
    """
    content = content_of(file)
    lesions = known_lesions(cache / "lesions" / content["digest"])
    remarks = with_remarks_of(lesions, content.get("remarks", []))
    # a lesion scored on a single item has no interval
    write_report(without_nan({**content, "lesions": lesions, "remarks": remarks}), file)
