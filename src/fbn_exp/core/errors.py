"""Errors that a user can act on, derived from ``FbnError``; texts made safe for terminals and logs."""

import contextlib
import logging
import re
import sys
import traceback
from types import TracebackType


class FbnError(Exception):
    """Base of all errors raised on purpose; the message says what was wrong and what to do.

    Examples
    --------
    >>> try:
    ...     fbn.ICA(n_components=0)
    ... except fbn.FbnError as error:
    ...     print(error)
    method.n_components is 0, must be at least 1
    """


class ConfigError(FbnError):
    """A setting is out of range or contradicts another one."""


class ModelError(FbnError):
    """A model or tokenizer cannot be loaded."""


class LayoutError(FbnError):
    """A site cannot be resolved in a model, or two layouts differ."""


class DatasetError(FbnError):
    """Texts are missing, unreadable, or too few."""


class SignalError(FbnError):
    """Recorded activations cannot be used as signals."""


class MethodError(FbnError):
    """A decomposition cannot be computed from the given signals."""


class NetworksError(FbnError):
    """A networks artifact is corrupt, has another format, or does not fit the model."""


class TrackingError(FbnError):
    """The experiment tracker cannot be started."""


class BenchmarkError(FbnError):
    """A benchmark cannot be run or scored."""


class ControlError(FbnError):
    """No control of some kind can be drawn for an intervention."""


class FoldError(FbnError):
    """An intervention cannot be written into a model's weights."""


class TrainingError(FbnError):
    """A model cannot be trained as asked, or a training run cannot be resumed."""


class PruningError(FbnError):
    """A model cannot be pruned as asked."""


class DiskError(FbnError):
    """A file or folder cannot be written: its disk is full, or something is in its way.

    What was partly written has been removed.
    """


class LaunchError(FbnError):
    """A job cannot be started, failed in a separate process, or timed out waiting for another process."""


class AbsentRankError(LaunchError):
    """Another rank of the job died, or did not answer in time."""


class LockError(FbnError):
    """Another process has held the lock of a cache entry for too long."""


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


class LogFile(logging.FileHandler):
    """Log file of a run; if it cannot be written, one line says so, and messages reach the console only."""

    told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; the file is opened for the first one."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name in logging
        """Say once that the file cannot be written, where logging prints a traceback for each message."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.told:
            self.told = True
            print_error(f"{self.baseFilename} cannot be written ({error.strerror}): this log is incomplete")

    def close(self) -> None:
        """Close the file; what it has no room for is lost."""
        with contextlib.suppress(OSError):
            super().close()


def print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback with control characters shown; a replacement for ``sys.excepthook``."""
    print_error("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"))


def print_error(message: str) -> None:
    """Print a message on the standard error stream with control characters shown."""
    print(printable(message), file=sys.stderr)
