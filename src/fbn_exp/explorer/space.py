"""Write the page as a folder that can be uploaded as a Space of the Hugging Face hub as it is."""

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fbn_exp.config.folder import CONF
from fbn_exp.core.errors import ConfigError
from fbn_exp.core.files import new_folder
from fbn_exp.models.config import ModelConfig
from fbn_exp.networks.folder import description_in

PACKAGE = Path(__file__).parents[1]
REPORT = "report.html"
EXTRAS = ("explorer", "embedded")


def write_space(folder: Path, networks: Path, config: ModelConfig, arguments: tuple[str, ...]) -> None:
    """Write app, requirements, description, this package, the networks, and their report if there is one.

    Parameters
    ----------
    folder : Path
        The folder, which must not hold anything.
    networks : Path
        Folder of the networks.
    config : ModelConfig
        Their model, which must be one that the Space can load, too.
    arguments : tuple of str
        Arguments of ``explore.py`` that load it.

    Raises
    ------
    ConfigError
        If the folder holds something, or the model lies in files of this machine.
    NetworksError
        If there are no networks.
    """
    description_in(networks)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"space={folder} is there already: name a new folder")
    if Path(config.name).expanduser().exists():
        raise ConfigError(
            f"model.name={config.name} lies on this machine, where no Space can read it: take one of the hub"
        )
    with new_folder(folder) as partial:
        ignored = shutil.ignore_patterns("__pycache__", "conf")
        shutil.copytree(PACKAGE, partial / "fbn_exp", ignore=ignored)
        shutil.copytree(CONF, partial / "fbn_exp" / "conf")
        shutil.copytree(networks, partial / "networks")
        if (report := networks.resolve().parent / REPORT).is_file():
            shutil.copy(report, partial / REPORT)
        for name, text in _files(config, arguments).items():
            (partial / name).write_text(text, encoding="utf-8")


def _files(config: ModelConfig, arguments: tuple[str, ...]) -> dict[str, str]:
    environment = Environment(
        loader=PackageLoader("fbn_exp.explorer", "space_files"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no page, but Python and markdown
    )
    values: dict[str, Any] = {
        "arguments": list(arguments),
        "gradio": metadata.version("gradio"),
        "package": packaged(config.name),
        "requirements": requirements(),
    }
    names = ("app.py", "README.md", "requirements.txt")
    return {name: environment.get_template(f"{name}.in").render(values) for name in names}


def packaged(name: str) -> str | None:
    """Distribution of the Python package that holds a model, None for a model that is in none."""
    if not name.startswith("package:"):
        return None
    module = name.removeprefix("package:").partition("/")[0]
    (distribution, *_) = metadata.packages_distributions().get(module, [module.replace("_", "-")])
    return f"{distribution}=={metadata.version(distribution)}"


def requirements() -> list[str]:
    """Requirements of this package and of the page, without Gradio, which a Space brings itself."""
    found = []
    for line in metadata.requires("fbn_exp") or []:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        wanted = not marker or any(f'"{extra}"' in marker for extra in EXTRAS)
        if wanted and not requirement.startswith(("gradio", "fbn_exp")):
            found.append(requirement)
    return sorted(found)
