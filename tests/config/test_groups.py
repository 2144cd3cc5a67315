"""Groups under conf/ and packages have the same names, and options lie in the package of their group."""

import re
from pathlib import Path

import pytest

import fbn_exp
from fbn_exp.config.register import OWN_SCHEMAS, SCHEMAS

SOURCE = Path(fbn_exp.__file__).parent
CONF = Path(__file__).parents[2] / "conf"
OF_HYDRA = ("hydra", "hparams_search")
GROUPS = sorted(each.name for each in CONF.iterdir() if each.is_dir() and each.name not in OF_HYDRA)
# several choices of one package
IN_TRAINING = ("task", "trainable", "forgetting")


def package_of(group: str) -> str:
    """Package of a group: of its name, in the plural where it holds many."""
    if group in IN_TRAINING:
        return "training"
    if group == "controls":
        return "interventions/controls"
    (found,) = (name for name in (group, f"{group}s") if (SOURCE / name).is_dir())
    return found


def modules_of(group: str) -> set[str]:
    """Modules of the options of a group: that of its package, and those of packages inside."""
    files = (SOURCE / package_of(group)).rglob("config.py")
    return {".".join(("fbn_exp", *file.relative_to(SOURCE).with_suffix("").parts)) for file in files}


def schemas_of(group: str) -> set[type]:
    """Schemas that the options of a group fill in."""
    text = "".join(file.read_text(encoding="utf-8") for file in (CONF / group).rglob("*.yaml"))
    return {SCHEMAS[name] for name in re.findall(r"/schema/(\w+)@(?:_here_|launch)\b", text)}


@pytest.mark.parametrize("group", GROUPS)
def test_the_options_of_a_group_are_in_the_package_of_its_name(group):
    assert {schema.__module__ for schema in schemas_of(group)} <= modules_of(group)
    assert (SOURCE / package_of(group) / "config.py").is_file()
    # these two put together what other groups offer
    assert schemas_of(group) or group in ("experiment", "forgetting")


def test_every_schema_is_of_a_group():
    modules = set().union(*map(modules_of, GROUPS)) | {"fbn_exp.config.root", "fbn_exp.config.prune"}
    assert {schema.__module__ for schema in (*SCHEMAS.values(), *OWN_SCHEMAS.values())} <= modules
