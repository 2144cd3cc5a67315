"""The document is made from whatever was run, and each number in it is two clicks from its data."""

import json
import re

import pandas as pd
import pytest
from document import write_document
from page import shortened
from records import restore
from scripts import REPOSITORY
from step import MODELS
from steps import STEPS
from test_claims import row
from verdicts import MAKERS
from wording import linked, topic_of, without_model

NAMES = [model.name for model in MODELS.values()]


def leave(folder, model, step, **tables):
    """Leave a step as if it had run to its end."""
    place = folder / model / step
    (place / "sweep").mkdir(parents=True)
    for name, table in tables.items():
        pd.DataFrame(table).to_csv(place / "sweep" / f"{name}.csv", index=False)
    done = {"command": f"python evaluate.py -m step={step}", "seconds": 60.0, "commit": "0123456789"}
    (place / "done.json").write_text(json.dumps(done))
    return place


def scored(**more):
    names = [
        f"control_{kind}{side}" for kind in ("energy", "noise", "top_energy") for side in ("_low", "_high")
    ]
    return row(**more) | dict.fromkeys(names) | {"p_worse": 0.05, "p_better": 1.0, "job": 0}


def written(folder):
    file = folder / "document" / "replication.md"
    file.parent.mkdir(exist_ok=True)
    write_document(folder / "runs", file, overrides=["a=1"])
    return file


def test_without_any_step_all_are_named_with_their_commands(tmp_path):
    text = written(tmp_path).read_text(encoding="utf-8")
    assert "No step was run to its end." in text
    for step in STEPS:
        for model in MODELS:
            assert f"`python replication/run.py --models {model} --only {step.name}`" in text


@pytest.fixture
def partial(tmp_path):
    """Lesions of one model, and an experiment with its verdict of the other."""
    remarks = [{"jobs": "0", "remark": "No noise."}, {"jobs": "1", "remark": "No noise."}]
    remarks += [{"jobs": "0", "remark": "No keystones."}]
    jobs = [{"job": 0}, {"job": 1}]
    leave(tmp_path / "runs", "smollm2", "lesion", paper=[scored(metric="acc")], jobs=jobs, remarks=remarks)
    lesions = [{"lesion": "all", "value": 1.0}]
    place = leave(
        tmp_path / "runs", "gemma3-270m", "sink", decisive=lesions, decisive_methods=lesions, scores=lesions
    )
    (place / "sweep" / "decisive.md").write_text(
        "# Why?\n\n**The prediction that could have failed.** It\nholds.\n\n**Outcome.** The prediction "
        "failed on\ngemma-3-270m: all goes.\n\n**Numbers.** Many.\n\n| a | half \\|r\\| (chance) |\n"
        "|:--|--:|\n| 1 | 0.1 |\n\n![Why?](figures/a.png)\n"
    )
    return written(tmp_path)


def test_a_claim_has_a_cell_for_each_model_with_a_link_to_its_section(partial):
    text = partial.read_text(encoding="utf-8")
    claim = "| Setting all networks to 0 impairs the model. | raw | [reproduced](#lesion) | not run |"
    assert claim in text
    assert "| not run | [The prediction failed](#sink): all goes. |" in text
    assert '\n<a id="lesion"></a>\n\n### All networks at 0: loss on Wikipedia\n' in text
    assert text.index("### Experiment A: is it the sink?\n") < text.index("### All networks at 0: loss")
    assert "> **The prediction that could have failed.** It holds." in text


def test_a_section_has_command_commit_and_data(partial):
    text = partial.read_text(encoding="utf-8")
    assert "\n    python evaluate.py -m step=lesion\n" in text
    links = "[paper](data/smollm2_lesion.csv), [jobs](data/smollm2_lesion_jobs.csv), "
    links += "[remarks](data/smollm2_lesion_remarks.csv)"
    assert f"Code of `0123456789`, 60 s. Data: {links}." in text
    assert pd.read_csv(partial.parent / "data" / "smollm2_lesion.csv")["value"].tolist() == [0.5]


def test_every_table_of_an_experiment_is_linked_and_scores_only_where_there_is_no_other(partial):
    text = partial.read_text(encoding="utf-8")
    links = "[decisive](data/gemma3-270m_sink.csv), [methods](data/gemma3-270m_sink_methods.csv)."
    assert f"Data: {links}" in text


def test_a_section_has_verdicts_with_numbers_sizes_and_each_remark_once(partial):
    section = partial.read_text(encoding="utf-8").partition('<a id="lesion"></a>')[2]
    assert "- *Setting all networks to 0 impairs the model.* **Reproduced.** 50 neurons; a 0.9 →" in section
    assert "<summary>1 row; 400 items of each task; 19 draws of each kind of control</summary>" in section
    assert "Remarks of the program:\n\n- No noise.\n- No keystones. (job 0 of 2)\n" in section


def test_tables_of_an_earlier_document_are_replaced_and_other_files_stay(partial):
    old, other = (partial.parent / "data" / name for name in ("replication/smollm2_old.csv", "own.csv"))
    for file in (old, other):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    written(partial.parent.parent)
    assert not old.exists()
    assert other.exists()


def test_every_link_leads_to_a_file_or_a_heading(partial):
    text = partial.read_text(encoding="utf-8")
    anchors = set(re.findall(r'^<a id="(\w+)"></a>$', text, re.M))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("method.md"):
            assert (partial.parent / target).is_file(), target


def test_what_was_not_run_is_named_and_what_was_is_not(partial):
    missing = partial.read_text(encoding="utf-8").partition("## Not run")[2]
    assert f"| {NAMES[0]} | sink |" in missing
    assert f"| {NAMES[1]} | lesion |" in missing
    assert f"| {NAMES[0]} | lesion |" not in missing


def test_the_papers_figures_stand_beside_ours(partial):
    text = partial.read_text(encoding="utf-8")
    table = text.partition("### All networks at 0")[2].partition("###")[0]
    assert "| the paper: GPT-2, fine-tuned | CoLA | 0.778 |" in table
    assert f"| {NAMES[0]} | a | 0.900 |" in table


def test_a_second_document_is_the_same(partial):
    text = partial.read_text(encoding="utf-8")
    assert written(partial.parent.parent).read_text(encoding="utf-8") == text


def whole_tables(text):
    """Number of cells of each row, for each table of a text."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.M)
    return [{len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()} for table in tables]


def test_rows_of_a_table_have_as_many_cells_in_each(partial):
    text = partial.read_text(encoding="utf-8")
    assert r"| a | half \|r\| (chance) |" in text
    assert all(len(counts) == 1 for counts in whole_tables(text))


@pytest.fixture(scope="module")
def of_records(tmp_path_factory):
    """The document of the results that are kept with the code."""
    folder = tmp_path_factory.mktemp("records")
    restore(REPOSITORY / "replication" / "records", folder / "runs", tuple(MODELS.values()), STEPS)
    (folder / "document").mkdir()
    file = folder / "document" / "replication.md"
    write_document(folder / "runs", file)
    return file.read_text(encoding="utf-8")


def test_all_tables_of_the_kept_results_are_whole(of_records):
    counts = whole_tables(of_records)
    assert len(counts) > 20
    assert all(len(each) == 1 for each in counts)


def test_claims_of_the_kept_results_stand_alone_and_verdicts_name_no_model(of_records):
    tables = of_records.partition("## Claim by claim")[2].partition("<details")[0]
    rows = [line for line in tables.splitlines() if line.startswith("|")]
    assert len(rows) > 20
    assert "…" not in tables
    # the heads of columns alone
    assert not any(name in row for row in rows if "](#" in row for name in (*NAMES, "gemma-3-270m"))
    # those measured by hand lie in another file
    own = of_records.partition("## Measured by hand")[0]
    assert "?." not in own
    assert "1 rows" not in own


def test_every_claim_has_a_topic():
    assert all(topic_of(step) for step, _, _ in MAKERS)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("reproduced in part (1 of 3)", "[reproduced in part](#a) (1 of 3)"),
        ("not reproduced on Gemma 3 270M, wiki, code", "[not reproduced](#a) (wiki, code)"),
        (
            "not reproduced on Gemma 3 270M, 4 tasks, which could have seen an effect of 0.02 to 0.1, in 1 "
            "of 4 cases none; power 1",
            "[not reproduced](#a) (4 tasks; an effect of 0.02 to 0.1 could have been seen), in 1 of 4 cases "
            "none; power 1",
        ),
        (
            "not shown on Gemma 3 270M, a, where no likely effect could have been seen",
            "[not shown](#a) (a), where no likely effect could have been seen",
        ),
        ("reproduced in part on Gemma 3 270M, 2 tasks: so", "[reproduced in part](#a) (2 tasks): so"),
        ("The prediction failed: on gemma-3-270m it goes.", "[The prediction failed](#a): it goes."),
        (
            "The claim is not reproduced on SmolLM2-135M-Instruct, tweets, which could have seen an effect "
            "of .16 beyond random neurons: the task is not kept.",
            "[The claim is not reproduced](#a) (tweets; an effect of .16 beyond random neurons could have "
            "been seen): the task is not kept.",
        ),
    ],
)
def test_verdicts_are_short_and_link_to_their_section(said, shown):
    assert linked(without_model(said), "a") == shown


def test_tables_lose_rows_and_columns_without_content():
    table = "| lesion | energy | noise |\n|:-|-:|-:|\n| all | 2e+07 | – |\n| keystones | 0 | – |"
    assert shortened(table) == (
        "| lesion | energy |\n| :- | -: |\n| all | 2e+07 |\n\nNot shown: 1 row in which nothing is changed."
    )
