"""What a user sees who asks for help, or whose config is wrong; nothing heavy is loaded for either."""

import json
import subprocess
import sys

import pytest
from scripts import REPOSITORY, run_script

from fbn_exp.core.errors import printable
from fbn_exp.stages.cli import (
    report_failed_jobs,
    report_failed_summary,
    report_finished_jobs,
    reported,
)

HEAVY = ("torch", "transformers", "numpy", "wandb", "sklearn", "pandas", "matplotlib")
COMMON = {"dataset", "launch", "model", "threshold", "tracking"}
NETWORKS = {"method/contrasts", *COMMON, "method", "reliability", "signals"}


def imported(stderr: str) -> set[str]:
    """Top-level packages in the output of ``python -X importtime``."""
    lines = [line.split("|")[-1].strip() for line in stderr.splitlines() if line.startswith("import time:")]
    return {name.split(".")[0] for name in lines}


def test_help_lists_every_choice_and_loads_nothing_heavy():
    done = run_script("extract.py", "--help", python=("-X", "importtime"))
    assert done.returncode == 0
    for group in ("model", "dataset", "signals", "method", "threshold", "tracking"):
        names = sorted(path.stem for path in (REPOSITORY / "conf" / group).glob("*.yaml"))
        assert f"{group}: {', '.join(names)}" in done.stdout
    assert not imported(done.stderr) & set(HEAVY)


@pytest.mark.parametrize(
    ("script", "groups"),
    [
        ("extract.py", NETWORKS),
        (
            "evaluate.py",
            {
                *NETWORKS,
                "analysis",
                "benchmark",
                "controls",
                "experiment/decisive",
                "experiment/paper",
                "hparams_search",
                "intervention",
            },
        ),
        ("train.py", {*COMMON, "experiment/decisive", "forgetting", "intervention", "task", "trainable"}),
    ],
)
def test_help_lists_the_groups_that_its_script_chooses_from(script, groups):
    page = run_script(script, "--help").stdout
    listed = page.partition("(group=option):")[2].partition("The config as it stands:")[0]
    assert [line.partition(":")[0] for line in listed.split("\n") if line] == sorted(groups)
    assert "Any field can be set on the command line" in page


def test_the_tab_key_completes_groups_options_and_fields():
    line = 'COMP_LINE="python extract.py method=pc" COMP_POINT=29 python extract.py -sc query=bash'
    done = subprocess.run(
        ["bash", "-c", line.replace("python extract.py -sc", f"{sys.executable} extract.py -sc")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert done.stdout.split() == ["method=pca"]


def test_help_lists_options_and_experiments_of_ones_own(tmp_path):
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("defaults: [pca]\n")
    (tmp_path / "experiment" / "deep").mkdir(parents=True)
    (tmp_path / "experiment" / "fits.yaml").write_text("# @package _global_\nmethod:\n  n_components: 3\n")
    foreign = "# @package _global_\ndefaults:\n  - override /task: classification\n"
    (tmp_path / "experiment" / "deep" / "foreign.yaml").write_text(foreign)
    page = run_script("extract.py", "--help", "--config-dir", str(tmp_path)).stdout
    methods = "canica, dictionary, ica, localizer, mine, paper, pca, random, sae, spatial_ica"
    assert f"\nmethod: {methods}\n" in page
    assert "\nexperiment: fits\n" in page
    assert "foreign" not in page


def test_a_config_error_loads_nothing_heavy():
    done = run_script("extract.py", "method.n_componets=3", python=("-X", "importtime"))
    assert done.returncode == 1
    assert not imported(done.stderr) & set(HEAVY)


@pytest.mark.parametrize(
    ("script", "overrides", "said"),
    [
        ("extract.py", ["method.n_components=0"], "method.n_components is 0"),
        ("extract.py", ["dataset.n_texts=-5"], "dataset.n_texts is -5"),
        ("extract.py", ["dataset=files", "dataset.paths=[a.docx]"], "a.docx"),
        ("extract.py", ["method.per_block=true", "reliability=icasso"], "method.per_block is true"),
        ("evaluate.py", ["networks=/nowhere"], "/nowhere holds no networks"),
        ("evaluate.py", ["benchmark=lm_eval"], "benchmark.tasks is not set"),
        ("evaluate.py", ["intervention.factor=much"], "intervention.factor is 'much'"),
        ("evaluate.py", ["analysis=consistency", "export.path=x"], "leave out select_factor and export.path"),
        ("train.py", ["trainable=inside"], "TrainInside needs networks"),
        ("train.py", ["launch=accelerate", "trainer.resume=/nowhere"], "holds no complete checkpoint"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_heavy_is_loaded(script, overrides, said, tmp_path):
    done = run_script(script, *overrides, f"hydra.run.dir={tmp_path}", python=("-X", "importtime"))
    assert done.returncode == 1
    assert not imported(done.stderr) & set(HEAVY)
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert line.startswith("error: ")
    assert said in line


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("method.n_componets=3", ["method.n_componets=3", "did you mean n_components?", "max_iterations"]),
        ("method=icaa", ["method/icaa", "ica", "pca", "random"]),
        ("method.contrast=tanh", ["method.contrast=tanh", "logcosh, exp, cube"]),
        ("method.n_components=many", ["method.n_components is 'many'", "a whole number or auto"]),
        ("site=mlp", ["site=mlp", "mlp_output, mlp_hidden, attention_output, block_output"]),
        ("modle=gpt2", ["modle", "did you mean model?"]),
        ("method.restarts=3", ["method.restarts=3", "method.restarts is called method.max_starts now"]),
        ("dataset.split=valid", ["dataset.split=valid", "all, train, dev, test"]),
        ("dataset=files", ["dataset.paths"]),
        ("method._target_=nowhere.Mine", ["method._target_ is nowhere.Mine", "No module", "PYTHONPATH"]),
        ("method.n_components=0", ["method.n_components is 0"]),
        ("threshold.value=-1", ["threshold.value is -1"]),
        ("threshold.two_sided=true", ["threshold.pole=both", "accepted here: pole, value"]),
        ("threshold.pole=up", ["threshold.pole=up", "positive, negative, both"]),
        ("signals.memory_budget_gb=0", ["signals.memory_budget_gb is 0"]),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_accepted(override, said, tmp_path):
    # a model that does not exist: the config must fail before it is looked for
    overrides = (override, "model.name=/nowhere/at/all", f"hydra.run.dir={tmp_path}")
    done = run_script("extract.py", *overrides)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "there is no such folder" not in done.stderr
    for words in said:
        assert words in done.stderr


def test_a_wrong_key_in_an_experiment_file_is_named_with_the_file(tmp_path):
    experiment = tmp_path / "experiment"
    experiment.mkdir()
    (experiment / "typo.yaml").write_text("# @package _global_\nmethod:\n  n_componets: 3\n")
    done = run_script("extract.py", "experiment=typo", "--config-dir", str(tmp_path))
    assert done.returncode == 1
    for words in ("experiment/typo", "n_componets", "did you mean n_components?"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_on_purpose_is_one_message_without_a_traceback(tmp_path):
    done = run_script("extract.py", "model.name=/nowhere", "tracking=none", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: model.name is '/nowhere'")


@pytest.mark.parametrize("mode", ["single", "sweep"])
def test_a_key_of_a_file_cannot_steer_the_terminal_that_shows_the_error(mode, tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text(json.dumps({"\x1b]0;owned\x07\x1b[2J\ud800 [red]": "a"}))
    overrides = ["model=tiny", "dataset=files", f"dataset.paths=[{texts}]", "tracking=none"]
    places = {"single": [f"hydra.run.dir={tmp_path}"], "sweep": [f"hydra.sweep.dir={tmp_path}", "-m"]}
    done = run_script("extract.py", *overrides, *places[mode])
    assert done.returncode == 1
    shown = r"it has: \x1b]0;owned\x07\x1b[2J\ud800 [red]"
    ways = [done.stdout + done.stderr]
    if mode == "sweep":
        assert "error: 1 job failed, no job finished" in done.stderr
        ways += [(tmp_path / "0" / name).read_text() for name in ("failed.txt", "extract.log")]
    for way in ways:
        assert shown in " ".join(way.split())
        assert printable(way) == way


@pytest.mark.parametrize(
    ("finished", "said"),
    [
        ([], ["error: 2 jobs failed, no job finished", "error: the sweep is not summarised: full"]),
        (
            ["0"],
            [
                "error: 2 jobs failed, the others are kept",
                "error: the jobs are kept, but the sweep is not summarised: full",
            ],
        ),
    ],
)
def test_the_jobs_of_a_sweep_are_kept_only_if_some_finished(finished, said, monkeypatch, capsys):
    for name, empty in (("_failed_jobs", {}), ("_finished_jobs", set()), ("_failed_summary", [])):
        monkeypatch.setattr(f"fbn_exp.stages.cli.{name}", empty)
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    monkeypatch.setattr("sys.argv", ["extract.py"])

    @reported
    def main():
        report_finished_jobs(finished)
        report_failed_jobs({"1": "no room", "2": "no room"})
        report_failed_summary("full")

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["job 1 failed: no room", "job 2 failed: no room", *said]


def test_the_traceback_of_a_bug_cannot_steer_the_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    monkeypatch.setattr("sys.argv", ["extract.py"])

    @reported
    def main():
        raise RuntimeError("\x1b[2J")

    with pytest.raises(RuntimeError) as caught:
        main()
    sys.excepthook(caught.type, caught.value, caught.tb)
    written = capsys.readouterr().err
    assert written.startswith("Traceback")
    assert written.endswith("RuntimeError: \\x1b[2J\n")


def test_a_reader_that_stops_early_sees_no_traceback():
    command = [sys.executable, "extract.py", "--help"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
