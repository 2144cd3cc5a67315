"""What a run found can be judged by a rule that was put right after it; its numbers stay."""

import json
import shutil

from in_process import register
from judge_again import judge_again
from scripts import REPOSITORY


def test_the_page_gets_the_rule_of_today_and_the_mark_says_whose_rule_it_is(tmp_path):
    place = tmp_path / "sink"
    shutil.copytree(REPOSITORY / "replication" / "records" / "gemma3-270m" / "sink", place)
    page = place / "sweep" / "decisive.md"
    page.write_text("by an earlier rule")
    before = json.loads((place / "done.json").read_text())
    register()
    judge_again(place)
    words = " ".join(page.read_text(encoding="utf-8").split())
    # no member of a network of Gemma is a keystone
    assert "Members without keystones: the same lesion, of which nothing can go." in words
    assert "39 draws of each kind of control" in words
    after = json.loads((place / "done.json").read_text())
    assert after.pop("judged")
    before.pop("judged", None)
    assert after == before
