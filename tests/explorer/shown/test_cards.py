"""Cards of networks: what is known is in them, and nothing from a text is markup."""

import json
from types import SimpleNamespace

import numpy as np
from synthetic import content, lay_out, texts

from fbn_exp.benchmarks.lesions import lesion_folder, networks_digest
from fbn_exp.core.files import sealed, write_json
from fbn_exp.explorer.reading import Reading
from fbn_exp.explorer.shown.cards import card, strongest_text
from fbn_exp.explorer.shown.templates import ROWS, courses
from fbn_exp.report.html.page import write_report

EVIL = "<script>alert(1)</script>"


def reported(bench, evil=""):
    """A report beside the networks, as of these very networks."""
    n_networks = len(bench.networks)
    made = content(n_networks, texts(more=(evil,) if evil else ()), lay_out(4, 24))
    made = {**made, "digest": networks_digest(bench.networks)}
    made["networks"][3]["go"] = "down"
    bench.folder.mkdir(parents=True)
    write_report(json.loads(json.dumps(made)), bench.folder.parent / "report.html")
    return made


def test_a_card_without_a_report_says_what_the_map_tells(bench):
    shown = card(bench, 2)
    assert f"{int(bench.masks[2].sum()):,} neurons" in shown
    assert "data:image/png;base64," in shown
    assert "there is none of these networks" in shown
    assert "analysis=keystones" in shown
    assert strongest_text(bench, 2) is None
    assert bench.name(2) == "2"


def test_a_card_has_the_drivers_and_texts_of_the_report(bench):
    told = reported(bench)["networks"][3]
    shown = card(bench, 3)
    assert told["label"] in bench.name(3)
    assert "members go down" in bench.name(3)
    assert shown.count("<li>") == len(told["tokens"])
    assert "Log frequency" in shown
    assert strongest_text(bench, 3).count("the") > 0


def test_the_report_of_other_networks_is_not_believed(bench):
    made = reported(bench)
    write_report({**made, "digest": "other"}, bench.folder.parent / "report.html")
    assert bench.report is None


def test_known_lesions_are_in_the_card_of_their_network_alone(bench):
    record = {"network": 1, "threshold": "z > 1.96", "neurons": 7, "task": "t<b>", "metric": "kl", "n": 9}
    record |= {"value": 1.5, "baseline": 1.0, "delta": 0.5, "ci_low": 0.4, "ci_high": 0.6}
    record |= {"controls": 5, "control_delta": 0.125}
    folder = lesion_folder(bench.networks, bench.cache)
    folder.mkdir(parents=True)
    write_json(folder / "one.json", sealed(record))
    shown = card(bench, 1)
    assert "t&lt;b&gt;, kl" in shown
    assert "+0.500" in shown
    assert "+0.125 (5)" in shown
    assert "None yet" in card(bench, 0)


def test_a_lesion_without_an_interval_has_one_dash_in_its_place(bench):
    record = {
        "network": 1,
        "threshold": "z > 1.96",
        "neurons": 7,
        "task": "t",
        "metric": "nats_refitted",
        "n": 9,
    }
    record |= {"value": 1.5, "baseline": 1.0, "delta": 0.5, "ci_low": None, "ci_high": None}
    record |= {"controls": 5, "control_delta": 0.125}
    folder = lesion_folder(bench.networks, bench.cache)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "no_interval.json", sealed(record))
    shown = card(bench, 1)
    assert "nats_refitted" in shown
    assert "– to –" not in shown


def test_markup_in_a_text_stays_text(bench):
    reported(bench, EVIL)
    shown = "".join(card(bench, network) for network in range(len(bench.networks)))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def read(n_tokens=3, n_networks=1, piece="a"):
    return Reading([piece] * n_tokens, np.full((n_tokens, n_networks), 2.0), skipped=1)


def many(count):
    return SimpleNamespace(name=lambda network: f"{network} · {EVIL}")


def test_every_token_has_its_colour_and_number_but_those_left_out():
    shown = courses(many(1), [read()], [0], 0)
    assert shown.count('style="background-color:rgb(217 95 48 / 0.40)"') == 2
    assert shown.count('data-is="+2.0 sd"') == 2
    assert shown.count("left out of the signals") == 1
    assert shown.count("<rect") == 2


def test_hostile_tokens_and_names_stay_text():
    shown = courses(many(1), [read(piece='"><img src=x onerror=alert(1)>')], [0], 0)
    assert "<img" not in shown
    assert "<script" not in shown


def test_of_512_networks_a_page_is_shown_at_once():
    order = list(range(512))
    first, last = (courses(many(512), [read(n_networks=512)], order, page) for page in (0, 42))
    assert first.count("<details") == ROWS
    assert f"Networks 1 to {ROWS} of 512" in first
    assert last.count("<details") == 512 - 42 * ROWS


def test_two_texts_stand_side_by_side():
    shown = courses(many(1), [read(3), read(5)], [0], 0)
    assert shown.count("<svg") == 2
    assert shown.count('class="text"') == 2


def test_without_a_text_the_page_says_what_to_do():
    assert "Type a text" in courses(many(1), [read(0)], [0], 0)
