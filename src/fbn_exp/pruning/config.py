"""Options of pruning, the fields ``prune.…`` of ``prune.py``."""

from dataclasses import dataclass, field
from enum import StrEnum

from fbn_exp.core.checks import require, require_choice, require_count, require_positive, require_seed

# most neurons that pruning leaves out; of a block at least one stays
LARGEST_RATIO = 0.95


class Criterion(StrEnum):
    """What makes a hidden neuron worth keeping.

    ``networks``: its largest |z| in any network; ``magnitude``: the norm of its weights; ``wanda``: its
    root mean square times the norm of its outgoing weights (Sun et al. 2024, by neuron); ``attribution``:
    mean |gradient × activation|; ``random``: chance.
    """

    networks = "networks"
    magnitude = "magnitude"
    wanda = "wanda"
    attribution = "attribution"
    random = "random"


class Allocation(StrEnum):
    """Division of what is pruned among blocks: ``equal`` shares, or by one threshold for the whole model."""

    equal = "equal"
    threshold = "threshold"


class Form(StrEnum):
    """What becomes of pruned neurons: taken out of the weights, or weights that are all zero.

    ``auto`` takes them out if the architecture can hold the widths that are left.
    """

    auto = "auto"
    smaller = "smaller"
    masked = "masked"


@dataclass
class RecoveryConfig:
    """A short fine-tune of the pruned model on the texts of the dataset, as language modelling.

    Attributes
    ----------
    max_steps : int
        Number of updates; 0 does without.
    n_texts : int
        Number of training texts, of the train part.
    learning_rate : float
        Peak learning rate.
    batch_size : int
        Texts of an update.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    max_steps: int = 0
    n_texts: int = 500
    learning_rate: float = 5e-5
    batch_size: int = 8

    def __post_init__(self) -> None:
        require_count("prune.recovery.max_steps", self.max_steps, 0)
        require_count("prune.recovery.n_texts", self.n_texts)
        require_positive("prune.recovery.learning_rate", self.learning_rate)
        require_count("prune.recovery.batch_size", self.batch_size)


@dataclass
class PruningConfig:
    """Which hidden neurons of the MLPs are pruned, and what becomes of them.

    Attributes
    ----------
    ratio : float
        Share of all hidden neurons of the model that is pruned, from 0 to 0.95.
    criterion : Criterion
        What makes a neuron worth keeping.
    allocation : Allocation
        ``equal`` prunes as many neurons of every block that is not spared, ``threshold`` those below one
        threshold for all blocks.
    spared_first, spared_last : int or None
        Number of first and last blocks that are left as they are. None: 3 and 2 of 32 blocks, as in the
        paper, and as many in proportion of a model of another depth; none where only equal widths give a
        smaller checkpoint.
    form : Form
        ``smaller``, ``masked``, or ``auto``.
    bias : bool
        Add what pruned neurons contribute on average to the bias of the map out of the hidden layer.
    seed : int
        Seed of the criterion ``random``.
    keep : bool
        Keep checkpoints; false removes them once they have been scored, as in a sweep over ratios.
    speed_pairs : int
        Forward passes of either model by which their speed is compared; 0 does without.
    recovery : RecoveryConfig
        Fine-tuning of what is left.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    ratio: float = 0.2
    criterion: Criterion = Criterion.networks
    allocation: Allocation = Allocation.equal
    spared_first: int | None = None
    spared_last: int | None = None
    form: Form = Form.auto
    bias: bool = False
    seed: int = 0
    keep: bool = True
    speed_pairs: int = 9
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)

    def __post_init__(self) -> None:
        rule = f"be from 0 to {LARGEST_RATIO}"
        require(0 <= self.ratio <= LARGEST_RATIO, "prune.ratio", self.ratio, rule)
        self.criterion = require_choice(Criterion, "prune.criterion", self.criterion)
        self.allocation = require_choice(Allocation, "prune.allocation", self.allocation)
        self.form = require_choice(Form, "prune.form", self.form)
        require_count("prune.spared_first", self.spared_first, 0)
        require_count("prune.spared_last", self.spared_last, 0)
        require_seed("prune.seed", self.seed)
        require_count("prune.speed_pairs", self.speed_pairs, 0)
