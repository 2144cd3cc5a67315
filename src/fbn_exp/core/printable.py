"""Text from outside, such as names in files and models, made safe for terminals and logs."""

import logging
import re
import sys
import traceback
from types import TracebackType

# Control characters but newline and tab (terminals obey them), marks that reorder or break a line, and
# surrogates, which no encoding can write.
_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Show control characters, bidirectional marks and lone surrogates as escapes, such as ``\x1b``.

    Examples
    --------
    >>> print(printable("a name\x1b[2J"))
    a name\x1b[2J
    """
    return _OBEYED.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class PrintableFormatter(logging.Formatter):
    """Format log records, messages and tracebacks alike, as printable text."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record with control characters shown."""
        return printable(super().format(record))


def print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback with control characters shown; a replacement for ``sys.excepthook``."""
    print_error("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"))


def print_error(message: str) -> None:
    """Print a message on the standard error stream with control characters shown."""
    print(printable(message), file=sys.stderr)
