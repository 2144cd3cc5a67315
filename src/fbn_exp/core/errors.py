"""Exception hierarchy: every error that a user can act on derives from ``FbnError``."""


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


class FoldError(FbnError):
    """An intervention cannot be written into a model's weights."""


class TrainingError(FbnError):
    """A model cannot be trained as asked, or a training run cannot be resumed."""


class DiskError(FbnError):
    """A disk is full; the partly written file or folder has been removed."""


class LaunchError(FbnError):
    """A job cannot be started, failed in a separate process, or timed out waiting for another process."""


class AbsentRankError(LaunchError):
    """Another rank of the job died, or did not answer in time."""


class LockError(FbnError):
    """Another process has held the lock of a cache entry for too long."""
