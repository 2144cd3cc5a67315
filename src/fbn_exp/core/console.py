"""The one console: log messages, tables and progress bars share it, so that they do not tear."""

import sys

from rich.console import Console

_PIPED_WIDTH = 140

console = Console(stderr=True, width=None if sys.stderr.isatty() else _PIPED_WIDTH)
