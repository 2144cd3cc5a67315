"""The report in a real browser; needs a chromium of the system and the package playwright."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from browsers import DESK, PHONE, running_browser
from synthetic import content, lay_out, texts

from fbn_exp.report.html.page import write_report

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def browser():
    with running_browser() as started:
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Reports of 10 networks with evil texts and a lesion, and of 512."""
    folder = tmp_path_factory.mktemp("reports")
    lesion = {"network": 3, "threshold": "z > 2.5", "neurons": 5, "task": EVIL, "metric": "accuracy", "n": 9}
    lesion |= {"value": 0.4, "baseline": 0.7, "delta": -0.3, "ci_low": -0.4, "ci_high": -0.2, "controls": 6}
    lesion |= {
        "control_delta": -0.01,
        "texts": [{"untouched": EVIL, "lesion": "all gone", "control": "here"}],
    }
    unknown = {**lesion, "metric": "loss_refitted", "ci_low": None, "ci_high": None, "texts": []}
    sizes = {10: (lay_out(4, 24), [lesion, unknown]), 512: (lay_out(12, 96), [])}
    for n_networks, (layout, lesions) in sizes.items():
        found = content(n_networks, texts(more=(EVIL,)), layout, lesions=lesions)
        # something to filter by that does not depend on a draw
        for network in found["networks"]:
            network["label"] = "position" if network["index"] % 5 == 2 else "none of these"
            stone = {"block": 1, "index": 7, "nats": 2.5, "tokens": "first token"}
            network["keystones"] = [stone] if network["index"] == 3 else []
        write_report({**found, "labels": ["none of these", "position"]}, folder / f"{n_networks}.html")
    return folder


@contextmanager
def opened(browser, file, viewport=DESK) -> Iterator:
    """The page, which must have run without an error and asked for nothing when the context closes."""
    page = browser.new_page(viewport=viewport)
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert page.evaluate("document.title") != "owned"
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]


def order(page, selector: str) -> list[int]:
    script = "all => all.filter(each => !each.hidden).map(each => Number(each.dataset.index))"
    return page.eval_on_selector_all(selector, script)


ROWS, CARDS = "#networks tbody tr", "details.card"


@pytest.mark.parametrize("n_networks", [10, 512])
def test_it_renders_and_every_card_can_be_opened(browser, files, n_networks):
    with opened(browser, files / f"{n_networks}.html") as page:
        assert order(page, ROWS) == order(page, CARDS) == list(range(n_networks))
        # few are open from the start, many are drawn when they are asked for
        assert page.locator(f"{CARDS} .body").count() == (10 if n_networks == 10 else 0)
        if n_networks > 10:
            page.select_option("#label", "position")
        page.click("#open")
        shown = order(page, CARDS)
        assert page.locator(f"{CARDS}[open] .body").count() == len(shown) == min(n_networks, 102)
        assert page.locator(f"{CARDS} .kwic li").count() == 10 * len(shown)
        broken = "all => all.filter(each => !(each.complete && each.naturalWidth)).length"
        assert page.eval_on_selector_all("img", broken) == 0
        page.click("#close")
        assert page.locator(f"{CARDS}[open]").count() == 0


def test_markup_in_a_text_shows_as_text(browser, files):
    with opened(browser, files / "10.html") as page:
        shown = page.locator(".kwic").all_inner_texts()
        assert any(EVIL in text for text in shown)
        assert EVIL in page.locator("#network-3 .lesions").inner_text()
        assert "loss_refitted" in page.locator("#network-3 .lesions").inner_text()
        assert "– to –" not in page.locator("#network-3 .lesions").inner_text()
        assert page.locator("#network-3 .generated td").all_inner_texts() == [EVIL, "all gone", "here"]
        assert page.locator("script").count() == 2
        assert page.locator("img[onerror]").count() == 0


def test_the_keystones_of_a_network_stand_in_its_card(browser, files):
    with opened(browser, files / "10.html") as page:
        assert "contains keystone 1:7 (first token)" in page.locator("#network-3 summary").inner_text()
        assert "1:7 +2.50 (first token)" in page.locator("#network-3 .numbers").inner_text()
        assert "none" in page.locator("#network-4 .numbers").inner_text()


def test_a_column_sorts_both_ways_and_takes_the_cards_along(browser, files):
    with opened(browser, files / "10.html") as page:
        head = page.locator("#networks th", has_text="Neurons")
        values = "all => all.map(row => Number(row.cells[3].dataset.value))"
        page.get_by_role("button", name="Neurons").click()
        assert head.get_attribute("aria-sort") == "descending"
        falling = page.eval_on_selector_all(ROWS, values)
        assert falling == sorted(falling, reverse=True)
        assert order(page, ROWS) == order(page, CARDS) != list(range(10))
        page.get_by_role("button", name="Neurons").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert page.eval_on_selector_all(ROWS, values) == sorted(falling)
        assert page.locator("#networks th[aria-sort=ascending]").count() == 1


def test_search_and_driver_filter_the_list_and_the_cards(browser, files):
    with opened(browser, files / "512.html") as page:
        page.select_option("#label", "position")
        assert order(page, ROWS) == order(page, CARDS) == list(range(2, 512, 5))
        assert page.locator("#count").inner_text() == "102 of 512 networks"
        page.fill("#search", "7")
        assert order(page, ROWS) == [7]
        page.fill("#search", "cat")
        found = order(page, ROWS)
        tokens = page.locator(f"{ROWS}:not([hidden]) .tokens").all_inner_texts()
        assert 0 < len(found) < 103
        assert all("cat" in text for text in tokens)
        page.fill("#search", "no such thing")
        assert order(page, CARDS) == []
        assert page.locator("#nothing").is_visible()


def test_it_can_be_used_from_the_keyboard(browser, files):
    with opened(browser, files / "512.html") as page:
        page.get_by_role("button", name="Variance").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        assert order(page, ROWS)[0] == 511
        page.locator("#network-511 summary").focus()
        outline = "document.activeElement.matches(':focus-visible')"
        assert page.evaluate(outline)
        page.keyboard.press("Space")
        page.locator("#network-511 .map").wait_for(timeout=5_000)
        page.locator(f"{ROWS} a").first.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#network-511"


@pytest.mark.parametrize("n_networks", [10, 512])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_itself_never_scrolls_sideways(browser, files, n_networks, viewport):
    with opened(browser, files / f"{n_networks}.html", viewport) as page:
        page.locator(f"{CARDS} summary").first.click()
        page.locator(f"{CARDS} summary").last.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_pointing_at_a_cell_reads_the_pair_and_its_value(browser, files):
    with opened(browser, files / "10.html") as page:
        page.click("#close")
        found = page.evaluate("JSON.parse(document.getElementById('content').textContent).connectivity")
        picture = page.locator("#connectivity .picture")
        picture.scroll_into_view_if_needed()
        side = picture.bounding_box()["width"]
        picture.hover(position={"x": 2.5 * side / 10, "y": 7.5 * side / 10})
        column, row = found["order"][2], found["order"][7]
        rows, columns = np.triu_indices(10, k=1)
        place = int(np.flatnonzero((rows == min(row, column)) & (columns == max(row, column)))[0])
        value = f"{found['thousandths'][place] / 1000:.3f}".replace("-", "−")
        readout = page.locator("#connectivity .readout").inner_text()
        assert readout == f"networks {row} and {column}: {value}"
