"""Files inside installed Python packages, and the version of this package."""

import importlib.util
from functools import cache
from importlib import metadata
from pathlib import Path

# installs packages whose requirements are heavy and unused here
NO_DEPS = "pip install --no-deps -r requirements/no-deps.txt"


def package_folder(package: str) -> Path | None:
    """Folder of an installed package, located without importing it; None if it is not installed."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # the parent of a dotted name is missing, or there is no name
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


@cache
def version() -> str:
    """Version of this package, as part of keys and provenance."""
    return metadata.version("fbn_exp")
