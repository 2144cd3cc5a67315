"""Keys of caches, and digests that tell whether a file was changed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a plain structure, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
