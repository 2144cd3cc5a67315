"""Write files so that a reader never sees half of one."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Fill a temporary folder that takes the name ``folder`` when all went well, and vanishes if not.

    An existing folder of that name is replaced; until the last step it stays whole.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        partial.chmod(0o755)
        yield partial
        if folder.exists():
            # moved aside first: a folder that is half removed must not have its name
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(old / folder.name)
            partial.rename(folder)
            shutil.rmtree(old)
        else:
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write indented json under a temporary name, then rename it."""
    # a name of its own: two processes may write the same file
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True) + "\n"
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
