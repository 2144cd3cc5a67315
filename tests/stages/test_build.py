"""What is said of a class of one's own that cannot be imported or made."""

import pytest
from omegaconf import OmegaConf

from fbn_exp.core.errors import ConfigError
from fbn_exp.datasets.base import TextDataset
from fbn_exp.methods.base import Decomposition
from fbn_exp.stages.build import built


def said_of(target):
    config = OmegaConf.create({"method": {"_target_": target, "n_components": 2}})
    with pytest.raises(ConfigError) as caught:
        built(config.method, Decomposition)
    assert "HYDRA_FULL_ERROR" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Writes a module that can be imported, by its name and text."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        return tmp_path / f"{name}.py"

    return write


def test_a_module_that_is_nowhere_is_named_with_the_places_that_were_searched(mine):
    file = mine("present", "")
    said = said_of("absent_module.Mine")
    assert said.startswith(
        "method._target_ is absent_module.Mine: ModuleNotFoundError: No module named 'absent"
    )
    assert f"and in {file.parent}, " in said
    assert "PYTHONPATH=FOLDER" in said


def test_a_name_that_a_module_lacks_is_named_with_its_file(mine):
    file = mine("lacks_it", "class Other: ...\n")
    assert f"method._target_ is lacks_it.Mine: {file} has no Mine;" in said_of("lacks_it.Mine")


@pytest.mark.parametrize(
    ("name", "text", "line", "error"),
    [
        (
            "needs_more",
            "import os\nimport no_such_package\n",
            2,
            "ModuleNotFoundError: No module named 'no_such_",
        ),
        (
            "takes_more",
            "from os import no_such_name\n",
            1,
            "ImportError: cannot import name 'no_such_name' from",
        ),
        ("misspelt", "\n\nclass Mine\n", 3, "SyntaxError: expected ':'"),
        (
            "told",
            "try:\n    import nix\nexcept ImportError as e:\n    raise ImportError('do') from e\n",
            4,
            "ImportError: do",
        ),
    ],
)
def test_an_error_inside_a_module_is_told_with_file_and_line(name, text, line, error, mine):
    file = mine(name, text)
    assert f"method._target_ is {name}.Mine: {file}, line {line}: {error}" in said_of(f"{name}.Mine")


def test_an_error_inside_a_constructor_is_told_with_file_and_line(mine):
    file = mine("fails", "class Mine:\n    def __init__(self, n_components):\n        1 / 0\n")
    assert (
        said_of("fails.Mine")
        == f"method._target_ is fails.Mine: {file}, line 3: ZeroDivisionError: division by zero"
    )


def test_a_class_of_another_kind_is_refused_with_the_one_to_derive_from(mine):
    mine("other_kind", "class Mine:\n    def __init__(self, n_components): ...\n")
    wanted = "which is no fbn_exp.methods.base.Decomposition: derive it from that"
    assert said_of("other_kind.Mine") == f"method._target_ is other_kind.Mine, {wanted}"


def test_all_abstract_methods_that_a_class_lacks_are_named_at_once(mine):
    mine(
        "lacks_methods",
        "from fbn_exp.datasets.base import TextDataset\n\n\nclass Mine(TextDataset):\n    pass\n",
    )
    config = OmegaConf.create({"dataset": {"_target_": "lacks_methods.Mine"}})
    with pytest.raises(ConfigError, match=r"describe'?, '?documents'?, '?name"):
        built(config.dataset, TextDataset)
