"""Files of a folder of networks."""

import json
from pathlib import Path
from typing import Any

from fbn_exp.core.errors import NetworksError

TENSORS, DESCRIPTION = "networks.safetensors", "networks.json"
# members of each network, for other tools; networks are not read from it
NEURONS = "neurons.json"


def description_in(folder: Path) -> Path:
    """File that describes the networks of a folder.

    Raises
    ------
    NetworksError
        If it is missing; the message names a folder of networks inside, as a run has one.
    """
    file = folder / DESCRIPTION
    if not file.is_file():
        inside = folder / "networks" / DESCRIPTION
        hint = f": did you mean {folder / 'networks'}?" if inside.is_file() else ""
        raise NetworksError(f"{folder} holds no networks ({DESCRIPTION} is missing){hint}")
    return file


def config_in(folder: Path) -> dict[str, Any]:
    """Settings that the networks of a folder were extracted with; empty if they are not known."""
    try:
        return dict(json.loads(description_in(folder).read_text(encoding="utf-8"))["provenance"]["config"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return {}


def count_in(folder: Path) -> int | None:
    """Number of networks in a folder; None if its description cannot be read, which loading reports."""
    try:
        description = json.loads(description_in(folder).read_text(encoding="utf-8"))
        return len(description["networks"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
