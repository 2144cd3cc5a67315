"""The documentation site: every link leads somewhere, and it opens as files, with nothing from outside."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from browsers import DESK, running_browser
from scripts import REPOSITORY

import fbn_exp

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("mkdocs") is None:
        lacks = pytest.fail if os.environ.get("CI") else pytest.skip
        lacks("needs mkdocs: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    # a link or an anchor that leads nowhere is a warning, and --strict refuses it; --quiet would not count it
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        timeout=300,
        check=True,
    )
    return folder


def read(site: Path, page: str) -> str:
    return (site / page).read_text(encoding="utf-8")


def test_the_reference_shows_every_public_name_and_its_parameters(site):
    overview = read(site, "reference/index.html")
    assert [name for name in fbn_exp.__all__ if f"<code>{name}</code>" not in overview] == []
    methods = read(site, "reference/methods.html")
    assert 'id="fbn_exp.methods.config.ICAConfig"' in methods
    assert "<code>tolerance</code>" in methods


def test_links_to_code_show_it_and_formulas_are_mathematics(site):
    method = read(site, "method.html")
    assert 'href="source/src/fbn_exp/methods/ica.py.html"' in method
    assert "SubspaceDecomposition" in read(site, "source/src/fbn_exp/methods/ica.py.html")
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML"' in method
    assert "arithmatex" not in method
    assert "$" not in method.partition("<article")[2].partition("</article>")[0]


def test_pages_open_as_files_in_light_and_dark_and_ask_nothing_of_the_outside(site):
    seen, errors = [], []
    with running_browser() as browser:
        backgrounds = set()
        for scheme in ("light", "dark"):
            page = browser.new_context(color_scheme=scheme, viewport=DESK).new_page()
            page.on("request", lambda request: seen.append(request.url))
            page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            for name in ("index.html", "method.html", "tour.html", "gallery.html", "reference/methods.html"):
                page.goto((site / name).as_uri())
            backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.keyboard.press("/")
        page.keyboard.type("keystones")
        page.locator(".md-search-result__link").first.wait_for(timeout=20_000)
    assert len(backgrounds) == 2
    assert errors == []
    assert {url.partition(":")[0] for url in seen} <= {"file", "data", "blob", "about"}
