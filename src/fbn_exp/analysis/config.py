"""Options of the config group ``analysis``."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fbn_exp.core.checks import (
    require,
    require_at_least,
    require_count,
    require_draws,
    require_positive,
    require_seed,
)
from fbn_exp.datasets.config import DatasetConfig
from fbn_exp.networks.folder import description_in
from fbn_exp.networks.sharing.pull import local_folder

# nats per token that the removal of a keystone costs at least
MINIMUM_NATS = 0.5


@dataclass
class AnalysisConfig:
    """Measures of the networks."""

    _target_: str = field(default=MISSING, kw_only=True, repr=False)


@dataclass
class ConsistencyConfig(AnalysisConfig):
    """Search for networks of a group of texts among the networks of other single texts, as in the paper.

    Attributes
    ----------
    dataset : DatasetConfig
        Texts to decompose one by one.
    n_components : int
        Individual networks of each text, by the method that extracted the templates.
    minimum_iou : float
        Networks with a larger IoU count as the same; at least 0 and below 1.
    align_signs : bool
        Compare a text's network with each template by the sign with the larger IoU, and those of all nulls as
        well; if false, by the sign of either map's own skewness, which may be opposite for the same network.
    null_draws : int
        Draws of random masks, and of masks that keep every neuron's number of memberships.
    rotations : int
        Random rotations of each text's networks; each is thresholded anew, which takes time with
        ``threshold=mixture``.
    seed : int
        Seed of all nulls.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(default="fbn_exp.analysis.consistency.Consistency", kw_only=True, repr=False)
    dataset: DatasetConfig
    n_components: int = 10
    minimum_iou: float = 0.2
    align_signs: bool = True
    null_draws: int = 200
    rotations: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        require_count("analysis.n_components", self.n_components)
        rule = "be at least 0 and below 1"
        require(0 <= self.minimum_iou < 1, "analysis.minimum_iou", self.minimum_iou, rule)
        require_draws("analysis.null_draws", self.null_draws)
        require_draws("analysis.rotations", self.rotations)
        require_seed("analysis.seed", self.seed)
        if self.dataset.n_texts is not None:
            require_at_least("analysis.dataset.n_texts", self.dataset.n_texts, 2)


@dataclass
class OverlapConfig(AnalysisConfig):
    """Overlap of two sets of networks over the same neurons; no model is run.

    Attributes
    ----------
    other : str
        Folder of networks with the same layout, or a repository of the hub; their weights may differ.
    null_draws : int
        Draws of random masks.
    seed : int
        Seed of the draws.

    Raises
    ------
    ConfigError
        If a number is out of range.
    NetworksError
        If ``other`` holds no networks.
    """

    _target_: str = field(default="fbn_exp.analysis.overlap.Overlap", kw_only=True, repr=False)
    other: str
    null_draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        require_draws("analysis.null_draws", self.null_draws)
        require_seed("analysis.seed", self.seed)
        description_in(local_folder(self.other))


@dataclass
class FingerprintConfig(AnalysisConfig):
    """Likeness of two models by the time courses of their networks over the same texts, with nulls.

    Attributes
    ----------
    other : str
        Folder of the other model's networks, or a repository of the hub.
    dataset : DatasetConfig
        Texts that both models read, none of them fitted by the networks.
    other_model : str or None
        The other model: an option of ``conf/model``, a hub id, or a folder; null takes the one that its
        networks name.
    references : list of str
        Folders of networks of models that are known to be of another origin. Without any, same origin is
        never shown: models that share nothing but the texts are alike, too.
    texts_per_sample : int
        Texts of the samples that are scored one by one, for an ROC curve.
    draws : int
        Draws of shuffled texts, and of shifts.
    set_draws : int
        Draws of random neurons, and of rotations.
    seed : int
        Seed of nulls and intervals.

    Raises
    ------
    ConfigError
        If a number is out of range.
    NetworksError
        If a folder holds no networks.
    """

    _target_: str = field(
        default="fbn_exp.analysis.fingerprint.analysis.Fingerprint", kw_only=True, repr=False
    )
    other: str
    dataset: DatasetConfig
    other_model: str | None = None
    references: list[str] = field(default_factory=list)
    texts_per_sample: int = 10
    draws: int = 199
    set_draws: int = 19
    seed: int = 0

    def __post_init__(self) -> None:
        require_count("analysis.texts_per_sample", self.texts_per_sample)
        require_draws("analysis.draws", self.draws)
        require_draws("analysis.set_draws", self.set_draws)
        require_seed("analysis.seed", self.seed)
        for name in (self.other, *self.references):
            description_in(local_folder(name))
        if self.dataset.n_texts is not None:
            require_at_least("analysis.dataset.n_texts", self.dataset.n_texts, 2)


@dataclass
class ConnectivityConfig(AnalysisConfig):
    """Correlation and partial correlation of the networks' time courses within texts.

    Attributes
    ----------
    dataset : DatasetConfig
        Texts to record, none of them fitted by the networks; time courses are least-squares fits of the maps
        to their signals.
    draws : int
        Random sign flips of the texts, for intervals and p values over all pairs together (max-T).
    seed : int
        Seed of the sign flips.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(
        default="fbn_exp.analysis.connectivity.ConnectivityOfNetworks", kw_only=True, repr=False
    )
    dataset: DatasetConfig
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        require_draws("analysis.draws", self.draws)
        require_seed("analysis.seed", self.seed)


@dataclass
class OrderConfig(AnalysisConfig):
    """Reproducibility of networks against prediction of signals over the number of networks (NPAIRS).

    Attributes
    ----------
    dataset : DatasetConfig
        Texts to record; networks are fitted anew to halves of them.
    orders : list of int
        Numbers of networks.
    splits : int
        Number of random divisions of the texts into halves; every number of networks takes two fits in each.
    draws : int
        Random rotations of both halves' networks, for the chance level and its p value.
    seed : int
        Seed of halves and rotations.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(default="fbn_exp.analysis.order.NetworkOrder", kw_only=True, repr=False)
    dataset: DatasetConfig
    orders: list[int] = field(default_factory=lambda: [2, 5, 10, 20, 40, 64])
    splits: int = 3
    draws: int = 199
    seed: int = 0

    def __post_init__(self) -> None:
        require(len(self.orders) > 0, "analysis.orders", self.orders, "name at least one number")
        for order in self.orders:
            require_count("analysis.orders", order)
        require_count("analysis.splits", self.splits)
        require_draws("analysis.draws", self.draws)
        require_seed("analysis.seed", self.seed)


@dataclass
class KeystonesConfig(AnalysisConfig):
    """Search for neurons whose removal alone breaks the model, among those of largest energy.

    Attributes
    ----------
    dataset : DatasetConfig
        Texts on which energy and loss are measured.
    n_neurons : int
        Number of neurons to remove one by one, those with the largest mean square over all tokens.
    minimum_nats : float
        Rise of the loss, in nats per token, above which a neuron is a keystone.
    batch_tokens : int
        Largest number of tokens in a batch, padding included.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    _target_: str = field(default="fbn_exp.analysis.keystones.analysis.Keystones", kw_only=True, repr=False)
    dataset: DatasetConfig
    n_neurons: int = 200
    minimum_nats: float = MINIMUM_NATS
    batch_tokens: int = 1024

    def __post_init__(self) -> None:
        require_count("analysis.n_neurons", self.n_neurons)
        require_positive("analysis.minimum_nats", self.minimum_nats)
        require_count("analysis.batch_tokens", self.batch_tokens)
        least = self.dataset.min_tokens
        rule = "be at least 2: a text's first token is not predicted"
        require(least >= 2, "analysis.dataset.min_tokens", least, rule)
