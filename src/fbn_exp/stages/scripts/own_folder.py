"""Refuse to write a run or sweep over another one."""

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from fbn_exp.core.errors import ConfigError
from fbn_exp.core.files import digest

# parts of a config that say where and how a run goes, not what it computes
NOT_DETERMINING = {
    "run",
    "hydra",
    "tracking",
    "figures",
    "cache",
    "launch",
    "overwrite",
    "objective",
    "keep_lesion",
}
# where extract.py pushes networks to is none either, while networks that a run starts from are
PUSHED = "networks"
RESUME = "resume"
HYDRA = ".hydra"
REMEDY = "name another folder, or write over it by overwrite=true"


def fingerprint(cfg: DictConfig) -> dict[str, str]:
    """Short digest of each part of a config that determines the results, by name."""
    found = {}
    for name in (str(key) for key in cfg if key not in NOT_DETERMINING):
        node = OmegaConf.select(cfg, name)
        value: Any = str(node)
        if name == PUSHED and OmegaConf.is_config(node):
            continue
        if OmegaConf.is_config(node):
            value = OmegaConf.to_container(node, resolve=True, enum_to_str=True)
        if isinstance(value, dict):
            value.pop(RESUME, None)
        found[name] = digest({"value": value})[:12]
    return found


def require_own_run(folder: Path, configuration: Mapping[str, str], overwrite: bool) -> None:
    """Refuse a folder with results of another configuration; the same one may go on in its folder.

    Raises
    ------
    ConfigError
        If the folder holds the ``result.json`` of a run that differs in what determines the results.
    """
    earlier = read_result(folder).get("configuration")
    if not isinstance(earlier, dict):
        # nothing to lose, or of a version that did not say
        return
    names = [name for name in {**earlier, **configuration} if earlier.get(name) != configuration.get(name)]
    if names and not overwrite:
        raise ConfigError(
            f"{folder} holds a run with another configuration (of {', '.join(names)}): {REMEDY}"
        )


def finished_before(folder: Path, configuration: Mapping[str, str]) -> dict[str, float] | None:
    """Return the metrics of a run of the same configuration that ended in a folder; None if there is none."""
    result = read_result(folder)
    if not result.get("finished") or result.get("configuration") != configuration:
        return None
    return dict(result.get("metrics", {}))


def read_result(folder: Path) -> dict[str, Any]:
    """Content of the ``result.json`` of a folder; empty if there is none, or none that can be read."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def require_own_sweep(folder: Path, overrides: list[str], overwrite: bool) -> None:
    """Refuse a folder with the jobs of another sweep; the same one may go on in its folder.

    Raises
    ------
    ConfigError
        If the folder holds a sweep over other settings.
    """
    file = folder / "multirun.yaml"
    if overwrite or not file.is_file():
        return
    try:
        earlier = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        known = [str(each) for each in earlier["hydra"]["overrides"]["task"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return
    if _determining(known) != _determining(overrides):
        raise ConfigError(f"{folder} holds another sweep ({' '.join(known) or 'of no settings'}): {REMEDY}")


def remove_if_unused(folder: Path) -> None:
    """Remove the folder of a run that was refused, if nothing is in it but what Hydra has made."""
    files = [file for file in folder.rglob("*") if not file.is_dir()]
    logs = [file for file in files if file.suffix == ".log" and file.parent == folder]
    settings = [file for file in files if file.parent == folder / HYDRA]
    if not settings or {*files} - {*logs, *settings} or any(file.stat().st_size for file in logs):
        return
    # an open log cannot be removed on every system
    with suppress(OSError):
        shutil.rmtree(folder)


def _determining(overrides: list[str]) -> set[str]:
    keys = {each: each.lstrip("+~").partition("=")[0] for each in overrides}
    return {
        each
        for each, key in keys.items()
        if key.partition(".")[0] not in NOT_DETERMINING and not key.startswith(f"{PUSHED}.")
    }
