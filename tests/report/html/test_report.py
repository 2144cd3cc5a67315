import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from synthetic import content, lay_out, networks_of, texts

from fbn_exp.benchmarks.lesions import keep_lesions
from fbn_exp.core.errors import NetworksError
from fbn_exp.core.files import digest
from fbn_exp.report.html.content import matrix, without_nan
from fbn_exp.report.html.page import content_of, refresh_lesions, rendered, write_report
from fbn_exp.report.html.pictures import data_uri, map_uri
from fbn_exp.report.style import NEGATIVE, POSITIVE
from fbn_exp.thresholds.base import z_scores
from fbn_exp.thresholds.mixture import MixtureThreshold
from fbn_exp.thresholds.z import ZThreshold

EVIL = ["<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", " &amp;", "\u202e", "x\0"]


class Page(HTMLParser):
    """Elements by name with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def evil():
    return content(10, texts(more=tuple(EVIL)), lay_out(4, 24))


def test_nothing_from_model_or_text_becomes_markup(evil, tmp_path):
    html = rendered(evil)
    page = Page(html)
    assert len(page.named("script")) == 2  # the content, and the page's own
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {each["src"][:22] for each in page.named("img")} == {"data:image/png;base64,"}
    assert not page.named("b")
    assert not page.named("i")
    assert "planted &amp; &lt;b&gt;bold&lt;/b&gt;" in html
    write_report(evil, tmp_path / "report.html")
    assert content_of(tmp_path / "report.html") == json.loads(json.dumps(evil))
    assert sorted(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_the_policy_allows_exactly_the_inline_style_and_script(evil):
    html = rendered(evil)
    page = Page(html)
    (policy,) = [each["content"] for each in page.named("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        inline = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    # a style attribute would be refused
    assert not any("style" in attributes for _, attributes in page.elements)


def test_nothing_outside_the_file_is_named(evil):
    page = Page(rendered(evil))
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not page.named("iframe")


@pytest.mark.parametrize(("n_networks", "most"), [(10, 1.0), (512, 15.0)])
def test_every_network_is_in_the_list_and_has_a_card_in_a_moderate_file(n_networks, most, tmp_path):
    found = content(n_networks, texts(40, 60), lay_out(30, 576))
    write_report(found, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < most * 2**20
    page = Page((tmp_path / "report.html").read_text())
    rows = [each["data-index"] for each in page.named("tr") if "data-index" in each]
    assert rows == [str(index) for index in range(n_networks)]
    assert [each["id"] for each in page.named("details")] == [f"network-{row}" for row in rows]
    for index, network in enumerate(found["networks"]):
        assert network["index"] == index
        assert len(network["tokens"]) == 10
        assert (network["members"] is not None) == (index < 32)
    assert len(found["overlap"]["thousandths"]) == n_networks * (n_networks - 1) / 2


def test_strengths_belong_to_the_tokens_that_they_stand_beside():
    found = content(2, texts(), lay_out(2, 8))
    for network in found["networks"]:
        for each in network["tokens"]:
            middle = each["position"] - each["start"]
            assert each["values"][middle] == pytest.approx(each["strength"], abs=0.051)
            assert found["texts"][str(each["text"])]["pieces"][each["position"]] == each["token"]
            strongest = max(abs(value) for value in each["values"])
            assert (
                abs(each["strength"]) == pytest.approx(strongest, abs=0.051) or each != network["tokens"][0]
            )


def test_members_are_marked_where_they_are_and_pictures_show_sign_and_magnitude():
    found = content(3, texts(), lay_out(3, 8))
    for network in found["networks"]:
        assert network["size"] == len(network["members"])
        assert all(0 <= block < 3 and 0 <= place < 8 for block, place, _ in network["members"])
        signs = [sign for _, _, sign in network["members"]]
        assert (signs.count(1), signs.count(-1)) == (network["size_up"], network["size_down"])
        assert network["size_up"] == network["size"]
    values = np.array([[2.0, -1.0, 0.0, np.nan]])
    pixels = pixels_of(data_uri(values, top=2.0))
    assert pixels[0, :2, :3].tolist() == [list(POSITIVE), list(NEGATIVE)]
    assert pixels[0, :, 3].tolist() == [255, 136, 0, 0]


def test_the_page_says_where_members_go(tmp_path):
    rule = MixtureThreshold(pole="both")
    for threshold, both in ((ZThreshold(1.5, pole="negative"), False), (rule, True)):
        found = content(3, texts(), lay_out(2, 500), threshold=threshold)
        write_report(found, tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text()
        for network in found["networks"]:
            # also a rule that does not look for tails is told of them
            assert network["tails"] is not None
            assert f"members go {network['go']} " in page
            for each in network["tokens"]:
                assert each["go"] == ("up and down" if both else "down" if each["strength"] > 0 else "up")
            assert all(arrow in "↑↓↕" for _, arrow in network["list_tokens"])


def test_a_single_strong_neuron_of_a_wide_block_survives_the_small_map():
    scores = torch.zeros(2 * 3_000)
    scores[3_000 + 1_234] = -9.0
    pixels = pixels_of(map_uri(scores, lay_out(2, 3_000), widest=100))
    assert pixels.shape[0] == 2
    assert pixels.shape[1] <= 100
    assert (pixels[..., 3] > 0).sum() == 1
    assert pixels[1, :, 3].max() == 255


def test_a_map_of_one_block_is_standardised_among_the_neurons_of_that_block():
    blocks, layout = (2, 0), lay_out(3, 40)
    shown = content(2, texts(), layout, blocks=blocks)["networks"]
    maps = networks_of(2, layout, blocks).maps
    for network, block in enumerate(blocks):
        inside = layout.blocks[block].columns
        scores = torch.zeros(layout.n_neurons, dtype=torch.float64)
        scores[inside] = z_scores(maps[network : network + 1, inside])[0]
        assert shown[network]["map"] == map_uri(scores, layout, widest=768)


def pixels_of(uri: str):
    return np.round(255 * imread(io.BytesIO(base64.b64decode(uri.split(",")[1])))).astype(int)


def test_a_matrix_knows_its_order_and_its_strongest_pairs():
    values = np.array([[1, 0.1, -0.8], [0.1, 1, np.nan], [-0.8, np.nan, 1]])
    found = matrix(values, [2, 0, 1], top=1.0)
    assert found["thousandths"] == [100, -800, None]
    assert found["pairs"][0] == [0, 2, -0.8]
    pixels = pixels_of(found["picture"])
    assert pixels[0, 1].tolist() == pixels[1, 0].tolist() == [*NEGATIVE, 204]
    assert pixels[0, 0, 3] == pixels[0, 2, 3] == 0


def test_json_has_no_nan():
    assert without_nan({"a": [float("nan"), np.float64(2.5), np.int64(3), float("inf")], 1: ("b",)}) == {
        "a": [None, 2.5, 3, None],
        "1": ["b"],
    }


def test_a_report_is_made_again_with_lesions_known_by_then(tmp_path):
    found = content(3, texts(), lay_out(2, 8))
    file = tmp_path / "report.html"
    write_report(found, file)
    folder = tmp_path / "cache" / "lesions" / found["digest"]
    keep_lesions([], 0, 1, "z > 2", {}, folder)
    (folder / "broken.json").write_text("{")
    record = {
        "network": 1,
        "threshold": "z > 2",
        "neurons": 3,
        "task": "tales",
        "metric": "perplexity",
        "n": 4,
    }
    record |= {
        "value": 3.0,
        "baseline": 2.0,
        "delta": 1.0,
        "ci_low": 0.5,
        "ci_high": 1.5,
        "control_delta": None,
    }
    (folder / "one.json").write_text(json.dumps({**record, "sha256": digest(record)}))
    refresh_lesions(file, tmp_path / "cache")
    assert content_of(file) == {**json.loads(json.dumps(found)), "lesions": [record]}


def test_a_file_that_is_no_report_is_refused(tmp_path):
    (tmp_path / "other.html").write_text("<p>hello</p>")
    with pytest.raises(NetworksError, match=r"other\.html is no report"):
        refresh_lesions(tmp_path / "other.html", tmp_path)


def test_a_report_takes_a_lesion_that_was_scored_on_a_single_item(tmp_path):
    found, file = content(3, texts(), lay_out(2, 8)), tmp_path / "report.html"
    write_report(found, file)
    record = {"network": 1, "threshold": "z > 2", "neurons": 3, "task": "tales", "metric": "length", "n": 1}
    record |= {"value": 3.0, "baseline": 2.0, "delta": 1.0, "ci_low": float("nan"), "ci_high": float("nan")}
    folder = tmp_path / "cache" / "lesions" / found["digest"]
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(json.dumps({**record, "sha256": digest(record)}))
    refresh_lesions(file, tmp_path / "cache")
    assert content_of(file)["lesions"] == [{**record, "ci_low": None, "ci_high": None}]
