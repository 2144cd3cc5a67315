"""The page in a real browser: somebody types, looks at a network, and intervenes on it."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from browsers import DESK, PHONE, running_browser

from fbn_exp.core.errors import LaunchError

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> ${1} {{1}}"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    if importlib.util.find_spec("gradio") is None:
        lacks = pytest.fail if os.environ.get("CI") else pytest.skip
        lacks("needs the package gradio: pip install -e '.[explorer]'")
    with running_browser() as started:
        yield started


@pytest.fixture(scope="module")
def address(extraction, tmp_path_factory):
    import fbn_exp as fbn
    from fbn_exp.explorer.page.server import serve
    from fbn_exp.explorer.workbench import Workbench

    lm, _, networks = extraction
    folder = tmp_path_factory.mktemp("run")
    networks.save(folder / "networks", fbn.ZThreshold())
    bench = Workbench(lm, networks, fbn.ZThreshold(), folder / "networks", folder / "cache", ("model=tiny",))
    blocks, url = serve(bench, None, open_browser=False)
    # a taken port is named, and another page is not put in its place
    with pytest.raises(LaunchError, match="port="):
        serve(bench, int(url.strip("/").rpartition(":")[2]), open_browser=False)
    yield url
    blocks.close()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(request, browser, address):
    """The page; in the end it must have run without an error, and have asked for nothing from outside."""
    opened = browser.new_page(viewport=request.param)
    complaints, requests = [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: requests.append(asked.url))
    opened.goto(address)
    opened.locator("#courses .course").first.wait_for()
    yield opened
    assert opened.evaluate("document.title") != "owned"
    assert opened.evaluate("document.documentElement.scrollWidth") <= request.param["width"]
    opened.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []


def colours(page) -> list[str]:
    return page.eval_on_selector_all(
        "#courses .course[open] .token", "all => all.map(each => each.style.backgroundColor)"
    )


def test_typing_changes_the_colours_and_markup_stays_text(page):
    before = colours(page)
    assert any(before)
    page.locator("#text textarea").fill(EVIL)
    page.wait_for_function("document.querySelector('#courses .text')?.textContent.includes('<script>')")
    assert page.locator("#courses .text").first.inner_text().startswith("<script>document.title='owned'")
    assert "${1} {{1}}" in page.locator("#courses .text").first.inner_text()
    assert colours(page) != before
    assert page.locator("#courses script, #courses img").count() == 0


def test_two_texts_are_compared(page):
    page.get_by_text("Compare with another text").click()
    page.locator("#second-text textarea").fill("another one")
    page.wait_for_function("document.querySelectorAll('#courses .course[open] .text').length == 2")


def test_a_network_has_its_card(page):
    page.get_by_role("tab", name="Networks").click()
    page.locator("#card .card[data-network='0']").wait_for()
    page.locator("#network input").click()
    page.get_by_role("option", name="3", exact=True).click()
    page.locator("#card .card[data-network='3'] img").wait_for()


def test_a_lesion_changes_the_text_beside_a_control_and_can_be_repeated(page):
    page.locator("#text textarea").fill("the cat sat")
    page.get_by_role("tab", name="Intervene").click()
    page.locator("#run").click()
    page.locator("#command textarea").wait_for()
    written = "document.querySelectorAll('#results .written').length == 3"
    page.wait_for_function(f"{written} && !document.querySelector('#results .cursor')")
    untouched, intervened, control = page.locator("#results .written").all_inner_texts()
    assert intervened != untouched
    assert control != intervened
    assert page.locator("#results .prompt").first.inner_text() == "the cat sat"
    command = page.locator("#command textarea").input_value()
    assert re.search(r"python evaluate\.py .*model=tiny intervention=inhibit", command)


def test_sliders_are_moved_by_keys_and_by_the_pointer(page):
    page.locator("#text textarea").fill("the cat sat")
    page.get_by_role("tab", name="Intervene").click()
    page.get_by_text("scale their neurons").click()
    factor = page.locator("#factor input[type=range]")
    factor.focus()
    for _ in range(30):
        factor.press("ArrowRight")
    length = page.locator("input[type=range][aria-label*='Tokens']")
    length.scroll_into_view_if_needed()
    place = length.bounding_box()
    page.mouse.click(place["x"] + 1, place["y"] + place["height"] / 2)
    page.locator("#run").click()
    page.locator("#command textarea").wait_for()
    command = page.locator("#command textarea").input_value()
    assert "intervention=scale 'intervention.networks=[0]' intervention.factor=1.5 " in command
    assert "benchmark.new_tokens=4 " in command


def test_the_command_repeats_what_the_page_shows(browser, address, tmp_path):
    page = browser.new_page(viewport=DESK)
    page.goto(address)
    page.locator("#courses .course").first.wait_for()
    page.locator("#text textarea").fill('He said: "it\'s {both}, $5" [or]')
    page.get_by_role("tab", name="Intervene").click()
    page.get_by_label("Spare the first token").check()
    page.get_by_label("Seed").fill("3")
    page.locator("input[aria-label^='number input for Tokens']").fill("12")
    page.locator("#run").click()
    written = "document.querySelectorAll('#results .written').length == 3"
    page.wait_for_function(f"{written} && !document.querySelector('#results .cursor')")
    texts = page.locator("#results .written").all_text_contents()
    nats = [
        float(re.search(r": (\S+) nats", line)[1])
        for line in page.locator("#results .origin").all_inner_texts()
    ]
    script, *arguments = shlex.split(page.locator("#command textarea").input_value())[1:]
    page.close()
    asked = [*arguments, f"cache={tmp_path / 'cache'}", f"hydra.run.dir={tmp_path / 'run'}", "tracking=none"]
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[2] / script, *asked], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    repeated = pd.read_csv(tmp_path / "run" / "tables" / "texts.csv", keep_default_na=False)
    # line ends and zeros of a random model do not come through a page as they are
    plain = [re.sub(r"[\0\r\n\ufffd]", "", text) for text in texts]
    assert [re.sub(r"[\0\r\n\ufffd]", "", text) for text in repeated.iloc[0]] == plain
    scores = pd.read_csv(tmp_path / "run" / "tables" / "scores.csv").set_index("metric").loc["prompt_nats"]
    found = scores[["baseline", "value", "control_activation"]].tolist()
    assert found == pytest.approx(nats, abs=0.0051)
    assert len(set(plain)) == 3


def test_a_long_text_stops_on_request(page):
    page.get_by_role("tab", name="Intervene").click()
    page.locator("input[aria-label^='number input for Tokens']").fill("200")
    page.locator("#run").click()
    page.locator("#results .cursor").first.wait_for()
    page.locator("#stop").click()
    page.get_by_text("Stopped before the texts were complete").wait_for()
    assert page.get_by_text("(stopped before it began)").count() >= 1
    # and the next one runs to its end
    page.locator("input[aria-label^='number input for Tokens']").fill("4")
    page.locator("#run").click()
    page.get_by_text("Stopped before the texts were complete").wait_for(state="detached")
    page.wait_for_function("!document.querySelector('#results .cursor')")
    assert page.locator("#results").get_by_text("(stopped").count() == 0


def test_an_error_is_said_without_markup(page):
    page.locator("#text textarea").fill("")
    page.get_by_role("tab", name="Intervene").click()
    page.locator("#run").click()
    page.get_by_text("the text is empty").wait_for()
