"""Commands that repeat the paper on the embedded model, in order; the quick variant has smaller settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A command of the replication.

    Attributes
    ----------
    name : str
        Name of its folder and of its section in the document.
    script : str
        Entry script.
    overrides : tuple of str
        Overrides as typed; ``{folder}`` stands for the folder of all steps.
    quick : tuple of str
        Overrides of the quick variant, which replace those of the same name or are added.
    sweep : bool
        True for a sweep.
    in_quick : bool
        True if the quick variant includes the step.
    """

    name: str
    script: str
    overrides: tuple[str, ...]
    quick: tuple[str, ...] = ()
    sweep: bool = True
    in_quick: bool = True

    def arguments(self, folder: str, quick: bool, more: tuple[str, ...] = ()) -> list[str]:
        """Return the command-line arguments of the script."""
        chosen = {}
        for each in (*self.overrides, *(self.quick if quick else ()), *more):
            chosen[each.partition("=")[0].lstrip("+")] = each
        place = f"hydra.{'sweep' if self.sweep else 'run'}.dir={folder}/{self.name}"
        return [each.replace("{folder}", folder) for each in (*chosen.values(), place)]


# fine-tune a classifier of tweets, as the paper fine-tunes GPT-2 for each task
TUNED = (
    "model.name={folder}/train/checkpoint",
    "dataset=tweets",
    "dataset.n_texts=400",
    "benchmark=classification",
    "benchmark.dataset.n_texts=200",
)
FEW = ("dataset.n_texts=200", "benchmark.dataset.n_texts=50", "controls.repeats=1")

STEPS = (
    Step(
        "consistency",
        "evaluate.py",
        ("experiment=paper/consistency",),
        ("dataset=wiki,news", "dataset.n_texts=30", "benchmark.dataset.n_texts=10"),
    ),
    Step(
        "lesion",
        "evaluate.py",
        ("experiment=paper/lesion",),
        ("benchmark=probes", "benchmark.limit=12", "controls.repeats=1"),
    ),
    # repeated with signals that neither first tokens nor single neurons dominate
    Step(
        "consistency_stable",
        "evaluate.py",
        ("experiment=paper/consistency", "dataset=wiki", "signals=stable"),
        in_quick=False,
    ),
    # the same principal subspace, rotated at random
    Step(
        "lesion_rotation",
        "evaluate.py",
        ("experiment=paper/lesion", "method=random", "benchmark=perplexity"),
        in_quick=False,
    ),
    Step(
        "lesion_stable",
        "evaluate.py",
        ("experiment=paper/lesion", "signals=stable", "benchmark=perplexity"),
        in_quick=False,
    ),
    Step(
        "lesion_single",
        "evaluate.py",
        ("experiment=paper/lesion_single", "benchmark.limit=40", "controls.repeats=2"),
        ("benchmark.limit=10", "controls.repeats=1", "intervention.networks=[0],[1],[2]"),
    ),
    Step(
        "preservation",
        "evaluate.py",
        ("experiment=paper/preservation",),
        ("method.n_components=10,64", "benchmark.dataset.n_texts=8", "controls.repeats=1"),
    ),
    Step(
        "amplification",
        "evaluate.py",
        (
            "experiment=paper/amplification",
            "intervention.networks=all,[0]",
            "benchmark.limit=40",
            "controls.repeats=2",
        ),
        ("benchmark.limit=10", "controls.repeats=1", "intervention.networks=all", "factors=[1,1.1,1.5]"),
    ),
    Step(
        "generation",
        "evaluate.py",
        ("experiment=paper/generation", "controls.repeats=1"),
        ("intervention.networks=[0],[1]", "controls.repeats=1", "benchmark.new_tokens=24"),
    ),
    Step(
        "train",
        "train.py",
        (
            "dataset=tweets",
            "task=classification",
            "trainer.max_steps=200",
            "trainer.batch_size=16",
            "trainer.learning_rate=1e-4",
        ),
        ("trainer.max_steps=20", "trainer.batch_size=8", "task.dev_texts=40", "task.test_texts=60"),
        sweep=False,
    ),
    Step(
        "tuned_consistency",
        "evaluate.py",
        ("experiment=paper/consistency", "model.name={folder}/train/checkpoint", "dataset=wiki"),
        in_quick=False,
    ),
    Step("tuned_lesion", "evaluate.py", ("experiment=paper/lesion", *TUNED), FEW),
    Step(
        "tuned_lesion_single",
        "evaluate.py",
        ("experiment=paper/lesion_single", *TUNED),
        (*FEW, "intervention.networks=[0],[1],[2]"),
    ),
    Step(
        "tuned_preservation",
        "evaluate.py",
        ("experiment=paper/preservation", *TUNED, "controls.repeats=2"),
        (*FEW, "method.n_components=10,64"),
    ),
    Step(
        "tuned_amplification",
        "evaluate.py",
        ("experiment=paper/amplification", *TUNED, "controls.repeats=2", "intervention.networks=all,[0]"),
        (*FEW, "factors=[1,1.1,1.5]", "intervention.networks=all"),
    ),
    Step("networks", "extract.py", ("dataset=wiki", "signals=paper"), ("dataset.n_texts=40",), sweep=False),
    Step(
        "tuned_networks",
        "extract.py",
        ("model.name={folder}/train/checkpoint", "dataset=wiki", "signals=paper"),
        ("dataset.n_texts=40",),
        sweep=False,
    ),
    Step(
        "tuned_overlap",
        "evaluate.py",
        (
            "analysis=overlap",
            "networks={folder}/networks/networks",
            "analysis.other={folder}/tuned_networks/networks",
        ),
        sweep=False,
    ),
    Step(
        "forgetting",
        "train.py",
        (
            "trainable=all,inside,inside_control,outside,lora",
            "networks={folder}/networks/networks",
            "dataset=math",
            "task=language_modeling",
            "task.dev_texts=20",
            "task.test_texts=100",
            "trainer.max_steps=40",
            "trainer.learning_rate=2e-4",
            "trainer.evaluation_interval=40",
            "forgetting=corpora",
        ),
        in_quick=False,
    ),
)
