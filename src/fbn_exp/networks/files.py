"""The files of a folder of networks, with digests that show every change."""

import json
import logging
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.files import file_digest, unsealed
from fbn_exp.networks.folder import TENSORS, description_in

log = logging.getLogger(__name__)

FORMAT = "fbn_exp networks 2"
# its description has no digest of its own
UNSEALED = "fbn_exp networks 1"
SEAL = "description_sha256"
# key of the name of a network, where networks have names
NAME = "name"


def read_description(folder: Path) -> dict[str, Any]:
    """Content of ``networks.json``.

    Raises
    ------
    NetworksError
        If it is missing, broken, changed, or not of this format.
    """
    file = description_in(folder)
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NetworksError(f"{file} is broken: {error}") from error
    if (
        not isinstance(description, dict)
        or description.get("format") not in (FORMAT, UNSEALED)
        or "sha256" not in description
    ):
        raise NetworksError(f"{file} was not written by this program (format {FORMAT!r} expected)")
    if description["format"] == UNSEALED:
        log.warning("%s is of version 0.1: no digest shows whether it was changed", file)
        return description
    try:
        return unsealed(description, SEAL)
    except (KeyError, ValueError):
        raise NetworksError(
            f"{file} was changed after it was written, as its digest shows: extract again"
        ) from None


def read_tensors(folder: Path, sha256: str) -> dict[str, Tensor]:
    """Content of ``networks.safetensors``, whose digest the description names.

    Raises
    ------
    NetworksError
        If it is missing, truncated or changed.
    """
    file = folder / TENSORS
    if not file.is_file():
        raise NetworksError(f"{folder} is incomplete: {TENSORS} is missing; extract again")
    if file_digest(file) != sha256:
        raise NetworksError(f"{file} is truncated or changed, as its digest shows: extract again")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise NetworksError(f"{file} is not a safetensors file: {error}") from error


def statistics_in(summaries: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Statistics per network, by name, from the summaries of all networks."""
    others = ("index", "size", "block_shares", "block", NAME)
    names = [name for name in summaries[0] if name not in others]
    return {name: [float(summary[name]) for summary in summaries] for name in names}


def blocks_in(summaries: list[dict[str, Any]]) -> tuple[int, ...] | None:
    """Block of each network, None for networks of the whole model."""
    if "block" not in summaries[0]:
        return None
    return tuple(int(summary["block"]) for summary in summaries)


def names_in(summaries: list[dict[str, Any]]) -> tuple[str, ...] | None:
    """Name of each network, None for networks without names."""
    if NAME not in summaries[0]:
        return None
    return tuple(str(summary[NAME]) for summary in summaries)
