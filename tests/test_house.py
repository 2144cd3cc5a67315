"""Where files lie: tests mirror packages, config groups are named after them, and no folder is crowded."""

from collections import Counter
from pathlib import Path

from scripts import REPOSITORY

PACKAGE = REPOSITORY / "src" / "fbn_exp"
MOST_MODULES = 13
# one package, as what it trains, how and with what in mind
OF_TRAINING = {"task", "trainable", "forgetting"}
# a package within interventions
OF_INTERVENTIONS = {"controls"}
# settings of Hydra alone
OF_HYDRA = {"hydra", "hparams_search"}


def folders_of(place: Path) -> set[str]:
    """Names of the folders of a place that hold modules."""
    return {each.name for each in place.iterdir() if each.is_dir() and any(each.rglob("*.py"))}


def test_every_package_has_tests_and_every_folder_of_tests_a_package():
    assert folders_of(REPOSITORY / "tests") - {"chaos", "docs"} == folders_of(PACKAGE)
    for name in folders_of(PACKAGE):
        assert list((REPOSITORY / "tests" / name).rglob("test_*.py")), name


def test_modules_of_tests_have_names_of_their_own():
    # pytest imports them by that name alone, and stops at the second one
    counts = Counter(file.name for file in (REPOSITORY / "tests").rglob("test_*.py"))
    assert {name: count for name, count in counts.items() if count > 1} == {}


def test_every_config_group_is_named_after_a_package():
    groups = {each.name for each in (REPOSITORY / "conf").iterdir() if each.is_dir()} - OF_HYDRA
    assert groups >= OF_TRAINING
    packages = folders_of(PACKAGE)
    assert {
        name for name in groups - OF_TRAINING - OF_INTERVENTIONS if not {name, f"{name}s"} & packages
    } == set()


def test_no_folder_holds_more_modules_than_a_reader_takes_in():
    folders = [PACKAGE, *(each for each in PACKAGE.rglob("*") if each.is_dir())]
    counts = {each: len([file for file in each.glob("*.py") if file.stem != "__init__"]) for each in folders}
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_the_root_of_the_package_holds_the_public_interface_alone():
    assert {each.name for each in PACKAGE.iterdir() if each.is_file()} <= {
        "__init__.py",
        "api.py",
        "py.typed",
    }
