"""Model that networks belong to, found by the name in their provenance."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from fbn_exp.config.folder import CONF
from fbn_exp.core.errors import NetworksError
from fbn_exp.models.config import ModelConfig


def option_of(name: str) -> str | None:
    """Option of ``conf/model`` whose model has this name, None if there is none."""
    for file in sorted((CONF / "model").glob("*.yaml")):
        if name in (_settings(file.stem).get("name"), _stem(file.stem)):
            return file.stem
    return None


def model_of(provenance: dict[str, Any]) -> ModelConfig:
    """Settings to load the model that networks come from, in the number format that they come from.

    Parameters
    ----------
    provenance : dict
        Provenance of networks: an option of ``conf/model`` with the name of their model is taken, else a
        model of the hub or a local folder of this name.

    Raises
    ------
    NetworksError
        If the networks do not name their model.
    """
    name = provenance.get("model")
    if not isinstance(name, str) or not name:
        raise NetworksError("the networks do not name their model: give it, as in model=smollm2")
    config = model_named(option_of(name) or name)
    revision, dtype = provenance.get("revision"), provenance.get("dtype")
    return replace(config, revision=revision or config.revision, dtype=dtype or config.dtype)


def model_named(name: str) -> ModelConfig:
    """Settings to load a model by an option of ``conf/model``, else by a hub id or folder."""
    known = {file.stem for file in (CONF / "model").glob("*.yaml")}
    return ModelConfig(**_settings(name)) if name in known else ModelConfig(name=name)


def arguments_of(provenance: dict[str, Any]) -> list[str]:
    """Arguments of a script that load the model of :func:`model_of`."""
    config = model_of(provenance)
    option = option_of(str(provenance["model"]))
    named = [f"model={option}"] if option is not None else [f"model.name={config.name}"]
    usual = ModelConfig(name=config.name)
    return named + [
        f"model.{field}={getattr(config, field)}"
        for field in ("revision", "dtype")
        if getattr(config, field) != getattr(usual, field)
    ]


def _settings(option: str) -> dict[str, Any]:
    fields: dict[str, Any] = yaml.safe_load((CONF / "model" / f"{option}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in fields.items() if key != "defaults"}


def _stem(option: str) -> str | None:
    """Name that a GGUF file gives its model, None for other models."""
    name = str(_settings(option).get("name"))
    return Path(name).stem if name.endswith(".gguf") else None
