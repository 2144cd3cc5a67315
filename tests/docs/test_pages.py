"""Links of the documentation lead somewhere, the commands that it quotes compose, and its Python runs."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from pages import DOCS, SCRIPTS, code_on, commands_on
from scripts import REPOSITORY

import fbn_exp.stages.cli  # noqa: F401 - registers the resolver that conf/common.yaml uses
from fbn_exp.config.register import register

CONF = REPOSITORY / "conf"
README = REPOSITORY / "README.md"
ROOT_PAGES = [REPOSITORY / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [README, *ROOT_PAGES, *sorted(DOCS.rglob("*.md"))]
LISTS_COMMANDS = [
    README,
    DOCS / "recipes.md",
    DOCS / "clusters.md",
    DOCS / "explorer.md",
    DOCS / "pruning.md",
]


def named(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.relative_to(REPOSITORY).as_posix())


def without_code(page: Path) -> str:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """Anchors of a page: of its headings, as GitHub makes them, and those that are written out."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^#+ (.*)$", text, re.M)
    kept = [re.sub(r"[^\w\- ]", "", each.lower()) for each in found]
    return {each.replace(" ", "-") for each in kept} | set(re.findall(r'<a id="([^"]+)">', text))


@named(PAGES)
def test_every_relative_link_and_picture_exists(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@named(PAGES)
def test_every_module_that_is_named_exists(page):
    text = page.read_text(encoding="utf-8")
    paths = [
        *re.findall(r"\bsrc/fbn_exp(?:/\w+)*(?:\.py)?", text),
        *re.findall(r"`((?:\w+/)+\w+\.py)`", text),
    ]
    for path in paths:
        assert any((place / path).exists() for place in (REPOSITORY, REPOSITORY / "src" / "fbn_exp")), path
    for name in re.findall(r"\bfbn_exp\.[\w.]*\w", text):
        module, _, attribute = name.rpartition(".")
        assert importlib.util.find_spec(name if attribute[0].islower() else module), name


def test_the_citation_is_that_of_readme_and_package():
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    about = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["title"], cited["version"], cited["license"]) == (
        about["name"],
        about["version"],
        about["license"],
    )
    paper, text = cited["preferred-citation"], README.read_text(encoding="utf-8")
    authors = [f"{each['given-names']} {each['family-names']}" for each in paper["authors"]]
    assert f"author        = {{{' and '.join(authors)}}}" in text
    assert f"title         = {{{paper['title']}}}" in text
    assert paper["identifiers"][0]["value"].removeprefix("arXiv:") in text


def test_the_readme_leads_to_every_page():
    text = README.read_text(encoding="utf-8")
    missing = [each.name for each in PAGES[1:] if each.relative_to(REPOSITORY).as_posix() not in text]
    assert missing == []


def test_the_navigation_of_the_site_leads_to_every_page():
    text = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"^ +- [^:]+: (\S+\.md)$", text, re.M))
    assert {each.relative_to(DOCS).as_posix() for each in DOCS.rglob("*.md")} - listed == set()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param(page, words, id=f"{page.stem}: {' '.join(words)}")
        for page in LISTS_COMMANDS
        for words in commands_on(page)
    ],
)
def test_every_quoted_command_composes(page, words):
    # stands for a part of a path
    script, *rest = (word.replace("…", "x") for word in words)
    if any(word.startswith("experiment=") for word in rest) and not (CONF / "experiment").is_dir():
        pytest.skip("conf/experiment is not there")
    if "launch=slurm" in rest and importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        pytest.skip("needs hydra-submitit-launcher: pip install 'fbn_exp[slurm]'")
    flags = [word for word in rest if word.startswith("-")]
    assert set(flags) <= {"-m", "--help"}
    parsed = OverridesParser.create().parse_overrides([word for word in rest if word not in flags])
    values = [
        # an optimiser picks from an interval
        [f"{each.get_key_element()}={each.value().start}"]
        if each.is_interval_sweep()
        else [f"{each.get_key_element()}={value}" for value in each.sweep_string_iterator()]
        if each.is_sweep_override()
        else [each.input_line]
        for each in parsed
    ]
    assert "-m" in flags or all(len(each) == 1 for each in values)
    register()
    first = [each[0] for each in values]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for place, choices in enumerate(values):
            for choice in choices if len(choices) > 1 else choices[:1]:
                compose(Path(script).stem, overrides=[*first[:place], choice, *first[place + 1 :]])


def test_the_python_of_the_readme_and_what_loads_networks_run_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (steps,) = code_on(README)
    assert 'load_model("smollm2")' in steps
    world = {}
    exec(steps.replace('"smollm2"', '"tiny"').replace("n_texts=100", "n_texts=20"), world)
    assert world["scores"].to_frame()["metric"].tolist() == ["nats_per_token", "bits_per_byte"]
    world["networks"].save(tmp_path / "networks", world["fbn"].ZThreshold())
    (loading,) = code_on(DOCS / "outputs.md")
    exec(loading.replace("outputs/…/networks", "networks"), loaded := {})
    assert loaded["members"][3].equal(world["lesion"].target.members)


def test_enough_commands_are_quoted():
    assert len(commands_on(README)) >= 10
    assert len(commands_on(DOCS / "recipes.md")) >= 15
    assert {words[0] for words in commands_on(README)} == set(SCRIPTS)
