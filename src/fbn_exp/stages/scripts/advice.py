"""Compose the message for a config that cannot be used: what was wrong, and what is accepted."""

import dataclasses
import difflib
import re
import sys
from collections.abc import Sequence
from dataclasses import fields

from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from fbn_exp.config import prune, root
from fbn_exp.config.folder import CONF

# Hydra's message if the package of a launcher is missing -> advice
MISSING_PLUGINS = {
    "hydra/launcher/submitit": "launch=slurm needs submitit: pip install 'fbn_exp[slurm]'",
    "hydra/launcher/ray": "launch=ray needs Ray: pip install hydra-ray-launcher",
    "hydra/sweeper/optuna": "hydra/sweeper=optuna needs Optuna 2: pip install hydra-optuna-sweeper",
}

# messages for what does not go together with method=localizer -> advice
LOCALIZERS = {
    "merging override method.contrasts=": "contrasts are chosen with a slash: method/contrasts=[language]",
    "Key 'conditions' not in": "contrasts bring their texts with them: leave dataset= out, or compare the "
    "labels of your data set with method/contrasts=labels",
}
# messages for networks that are named in the way of another script -> advice
SHARED_NETWORKS = {
    "is not a subclass of SharingConfig": "extract.py makes networks: networks.push=user/name pushes them to "
    "the hub; evaluate.py, train.py and explore.py take networks=FOLDER, or networks=user/name",
    "override networks.": "extract.py alone pushes networks, networks.push=user/name; a branch, tag or "
    "commit is part of the name, networks=user/name@revision",
}
# Hydra's message for one of several options of a group that does not exist
UNLOADED = re.compile(r"Could not load '([\w/]+)/([^/']+)'")

# keys of version 0.1 -> what to write in their place
REPLACED_KEYS = {
    "two_sided": "threshold.two_sided=true is threshold.pole=both now, false is threshold.pole=positive",
    "restarts": "method.restarts is called method.max_starts now: the largest number of random starts",
}

# name of a script -> schema of its config
SCRIPTS: dict[str, type] = {
    "extract": root.ExtractConfig,
    "evaluate": root.EvaluateConfig,
    "train": root.TrainConfig,
    "prune": prune.PruneConfig,
    "explore": root.ExploreConfig,
}
# Hydra's message for a part that the config of a script does not have
FOREIGN = re.compile(
    r"Could not override '(\w+)(?:@[^']*)?'\. No match in the defaults list"
    r"|Key '(\w+)' not in '(?:Extract|Evaluate|Train|Prune|Explore)Config'"
)
# messages of Hydra's parser for an argument that ends within a list
UNFINISHED = ("no viable alternative at input", "mismatched input '<EOF>'", "missing BRACKET_CLOSE")
# those for a value that it cannot read
UNREADABLE = re.compile(
    r"(?:no viable alternative at input '|mismatched input '|extraneous input '|missing BRACKET_CLOSE at '"
    r"|token recognition error at: ')(.*?)'(?: expecting .*)?$",
    re.MULTILINE,
)


def accepted_names(error: OmegaConfBaseException) -> list[str]:
    """List the keys accepted by the config node in which a wrong key was set."""
    if dataclasses.is_dataclass(error.object_type):
        return [each.name for each in fields(error.object_type) if not each.name.startswith("_")]
    if isinstance(error.parent_node, DictConfig):
        return [str(key) for key in error.parent_node]
    return []


def explain(error: Exception) -> str:
    """Compose the message for a config error, with the accepted names if a key was wrong."""
    lines = [str(error).strip()]
    if any(words in lines[0] for words in UNFINISHED) and (whole := torn_list(sys.argv[1:])) is not None:
        return f"{whole}: the shell splits it at its spaces: put it in quotes, '{whole}', or leave them out"
    if (value := UNREADABLE.search(lines[0])) is not None:
        return unreadable(value[1], sys.argv[1:])
    if lines[0].startswith("LexerNoViableAltException: "):
        return f"{lines[0].splitlines()[0].partition(': ')[2]}: a quote is not closed"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    if isinstance(cause, MissingMandatoryValue) and cause.full_key:
        return f"{cause.full_key} is not set: give it on the command line, {cause.full_key}=…"
    if isinstance(cause, OmegaConfBaseException):
        if cause is not error and str(cause).splitlines()[0] not in lines[0]:
            lines.append(str(cause).splitlines()[0])
        if isinstance(cause, ConfigKeyError | ConfigAttributeError):
            names = accepted_names(cause)
            lines += [REPLACED_KEYS[str(cause.key)]] if str(cause.key) in REPLACED_KEYS else []
            close = difflib.get_close_matches(str(cause.key), names, n=1)
            lines += [f"did you mean {close[0]}?"] if close else []
            lines += [f"accepted here: {', '.join(names)}"] if names else []
    if (home := home_of("\n".join(lines))) is not None:
        return home
    lines += [
        hint
        for words, hint in (MISSING_PLUGINS | LOCALIZERS | SHARED_NETWORKS).items()
        if words in "\n".join(lines)
    ]
    if (missing := UNLOADED.search(lines[0])) is not None and (CONF / missing[1]).is_dir():
        options = sorted(file.stem for file in (CONF / missing[1]).glob("*.yaml"))
        return f"there is no {missing[1]}={missing[2]}; there are: {', '.join(options)}"
    return "\n".join(lines)


def torn_list(arguments: Sequence[str]) -> str | None:
    """Put together the first list that a shell has split into several arguments; None if there is none.

    Examples
    --------
    >>> torn_list(["model=tiny", "intervention.networks=[0,", "1]"])
    'intervention.networks=[0, 1]'
    """
    for place, argument in enumerate(arguments):
        for end in range(place + 2, len(arguments) + 1):
            whole = " ".join(arguments[place:end])
            if argument.count("[") > argument.count("]") and whole.count("[") == whole.count("]"):
                return whole
    return None


def unreadable(part: str, arguments: Sequence[str]) -> str:
    """Name the argument that Hydra's grammar cannot read, and how lists and texts are written.

    Parameters
    ----------
    part : str
        What Hydra's parser stopped at.
    arguments : sequence of str
        The command line.

    Examples
    --------
    >>> unreadable("[0,1", ["model=tiny", "factors=[0,1"])
    "factors=[0,1: the list is not closed: 'factors=[0,1]'"
    """
    uneven = [each for each in arguments if each.count("[") != each.count("]")]
    holding = [each for each in arguments if part in each.partition("=")[2]]
    ending = [each for each in arguments if part == "<EOF>" and each.endswith((",", ":", "{"))]
    whole = next(iter([*uneven, *ending, *holding]), None)
    if whole is None:
        return f"the command line cannot be read at '{part}': put lists and texts in quotes, 'name=[0, 1]'"
    if whole.count("[") > whole.count("]"):
        closed = whole + "]" * (whole.count("[") - whole.count("]"))
        return f"{whole}: the list is not closed: '{closed}'"
    name, _, _ = whole.partition("=")
    if whole.count("[") != whole.count("]"):
        return f"{whole}: brackets do not match: lists are written '{name}=[0, 1]', with the quotes"
    place = "to its end" if part == "<EOF>" else f"at '{part}'"
    return (
        f"{whole} cannot be read {place}: a text with "
        f"characters such as = , : {{ }} needs two pairs of quotes, '{name}=\"…\"'"
    )


def home_of(message: str) -> str | None:
    """Say to which script a part of the config belongs that this one does not have; None if to none."""
    found = FOREIGN.search(message)
    name = "" if found is None else found[1] or found[2]
    scripts = [script for script, schema in SCRIPTS.items() if name in {each.name for each in fields(schema)}]
    if not scripts:
        return None
    called = "{}.py" if sys.argv[0].endswith(".py") else "fbn-{}"
    *others, last = map(called.format, scripts)
    return f"{name} belongs to {', '.join(others)} and {last}" if others else f"{name} belongs to {last}"
