"""The one console: log messages, tables and progress bars share it, so that they do not tear."""

from rich.console import Console

console = Console(stderr=True)
