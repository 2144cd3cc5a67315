"""Hooks of the documentation site (mkdocs.yml): pages from outside of docs/, their links, and mathematics."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import relpath

import reference
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from sources import notebook_page, source_page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# file of the repository -> page of the site
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "perf/RESULTS.md": "speed.md",
    "examples/tour.ipynb": "tour.md",
}
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def place_on_site(path: Path) -> str:
    """Give the page, picture or page of source that shows a file or folder of the repository."""
    if (named := path.relative_to(ROOT).as_posix()) in PAGES:
        return PAGES[named]
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"source/{named}{'/index.md' if path.is_dir() else '.md'}"


def linked(text: str, folder: Path) -> Iterator[Path]:
    """Yield the files and folders of the repository to which a text in a folder links."""
    for _, target, _ in LINK.findall(text):
        path = (folder / target).resolve()
        if path.exists() and path.is_relative_to(ROOT):
            yield path


def with_links_of_site(text: str, folder: Path, page: str) -> str:
    """Rewrite the links of a text that lies in a folder of the repository for a page of the site.

    A link that leads nowhere stays as it is, for mkdocs to report.
    """

    def rewritten(link: re.Match[str]) -> str:
        path = (folder / link[2]).resolve()
        if not (path.exists() and path.is_relative_to(ROOT)):
            return link[0]
        return f"{link[1]}{relpath(place_on_site(path), Path(page).parent)}{link[3]}"

    return LINK.sub(rewritten, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/, the reference, and a page for each file to which one links."""
    texts = {file: file.read_text(encoding="utf-8") for file in DOCS.rglob("*.md")}
    for name, page in PAGES.items():
        file = ROOT / name
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".ipynb":
            text, pictures = notebook_page(text)
            for picture, png in pictures.items():
                files.append(File.generated(config, picture, content=png))
        texts[file] = text
        content = with_links_of_site(texts[file], file.parent, page)
        files.append(File.generated(config, page, content=content))
    for page, content in reference.pages().items():
        files.append(File.generated(config, page, content=content))
    shown = {path for file, text in texts.items() for path in linked(text, file.parent)}
    for path in sorted(shown):
        if (page := place_on_site(path)).startswith("source/"):
            files.append(File.generated(config, page, content=source_page(path, path.relative_to(ROOT))))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links of a page in docs/ lead to pages of the site, and what can be unfolded be Markdown."""
    file = DOCS / page.file.src_uri
    markdown = re.sub(r"^<details>", '<details markdown="1">', markdown, flags=re.M)
    return with_links_of_site(markdown, file.parent, page.file.src_uri) if file.exists() else markdown


def on_page_content(content: str, **_: object) -> str:
    """Write formulas as MathML, which browsers show without a script."""

    def formula(found: re.Match[str]) -> str:
        latex = html.unescape(found[2]).strip()[2:-2]
        display = "block" if found[1] == "div" else "inline"
        return f'<{found[1]} class="math">{convert(latex, display=display)}</{found[1]}>'

    return re.sub(r'<(span|div) class="arithmatex">(.*?)</\1>', formula, content, flags=re.S)
