"""What a run found can be judged by a rule that was put right after it; its numbers stay."""

import json
import shutil

import pytest
from in_process import register
from judge_again import STEPS, judge_again
from scripts import REPOSITORY

RECORDS = REPOSITORY / "replication" / "records"
# of the kept runs: no member of a network of Gemma is a keystone
SAID = {
    "sink": "Members without keystones: the same lesion, of which nothing can go.",
    "ica": "selectivity beyond rotations is",
    "share": "networks are not shown to do more harm than the share",
}


@pytest.mark.parametrize("step", STEPS)
def test_the_page_gets_the_rule_of_today_and_the_mark_says_whose_rule_it_is(step, tmp_path):
    place = tmp_path / step
    shutil.copytree(RECORDS / "gemma3-270m" / step, place)
    page = place / "sweep" / "decisive.md"
    page.write_text("by an earlier rule")
    table = (place / "sweep" / "decisive.csv").read_bytes()
    before = json.loads((place / "done.json").read_text())
    register()
    judge_again(place)
    words = " ".join(page.read_text(encoding="utf-8").split())
    assert SAID[step] in words
    assert "**Rule, written before the run.**" in words
    assert (place / "sweep" / "decisive.csv").read_bytes() == table
    after = json.loads((place / "done.json").read_text())
    assert after.pop("judged")
    before.pop("judged", None)
    assert after == before
