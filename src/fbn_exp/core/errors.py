"""One exception family: every error that a user can act on derives from ``FbnError``."""


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
    """A networks artifact is broken, foreign, or does not fit."""


class TrackingError(FbnError):
    """The experiment tracker cannot be started."""


class BenchmarkError(FbnError):
    """A benchmark cannot be run or scored."""


class FoldError(FbnError):
    """An intervention cannot be written into a model's weights."""


class TrainingError(FbnError):
    """A model cannot be trained as asked, or a training run cannot be resumed."""


class DiskError(FbnError):
    """A disk is full; nothing of what was to be written is left."""


class LaunchError(FbnError):
    """A job cannot be started, failed in a process of its own, or waited for another process in vain."""


class AbsentRankError(LaunchError):
    """Another rank of the job died, or did not answer in time."""


class LockError(FbnError):
    """Another process holds an entry of the cache for too long."""
