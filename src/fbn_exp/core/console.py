"""Console shared by log messages, tables and progress bars, so that they do not interrupt one another.

Text is shown as it is: nothing in it is markup or the name of an emoji.
"""

import sys

from rich.console import Console

_PIPED_WIDTH = 140

console = Console(stderr=True, width=None if sys.stderr.isatty() else _PIPED_WIDTH, markup=False, emoji=False)
