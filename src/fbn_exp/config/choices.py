"""Closed sets of choices; names equal values, as omegaconf matches enumerations by name."""

from enum import StrEnum


class Site(StrEnum):
    """Where in each decoder block signals are read and interventions act."""

    mlp_output = "mlp_output"
    mlp_hidden = "mlp_hidden"
    attention_output = "attention_output"
    block_output = "block_output"


class Precision(StrEnum):
    """Number format of the weights; ``auto`` takes bfloat16 where the hardware is good at it."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Split(StrEnum):
    """Part of a corpus; the parts are disjoint, ``all`` is their union."""

    all = "all"
    train = "train"
    dev = "dev"
    test = "test"


class Standardise(StrEnum):
    """What is done to recorded signals before decomposition."""

    none = "none"
    zscore = "zscore"
    row_l2 = "row_l2"


class Storage(StrEnum):
    """Where recorded signals are kept; ``auto`` takes the first of the others that has room."""

    auto = "auto"
    accelerator = "accelerator"
    memory = "memory"
    disk = "disk"


class Contrast(StrEnum):
    """FastICA's approximation of negentropy (Hyvärinen & Oja 2000, section 4.3)."""

    logcosh = "logcosh"
    exp = "exp"
    cube = "cube"


class Independence(StrEnum):
    """What independent component analysis makes independent: time courses or maps."""

    temporal = "temporal"
    spatial = "spatial"


class Quantization(StrEnum):
    """How weights are stored: as they are, or in 8 or 4 bits (bitsandbytes, on a GPU)."""

    none = "none"
    int8 = "int8"
    nf4 = "nf4"


class WandbMode(StrEnum):
    """How a run reaches Weights & Biases; ``offline`` writes files to sync later."""

    offline = "offline"
    online = "online"
    disabled = "disabled"


class ControlKind(StrEnum):
    """What random networks have in common with the real one.

    ``random``, ``per_block`` and ``activation`` are of its size, ``share`` is a fixed share of all neurons.
    """

    random = "random"
    per_block = "per_block"
    activation = "activation"
    share = "share"


class PaperTable(StrEnum):
    """Experiment of the paper that a sweep repeats: its table is written when the sweep ends."""

    consistency = "consistency"
    lesion = "lesion"
    lesion_single = "lesion_single"
    preservation = "preservation"
    amplification = "amplification"
    generation = "generation"


class Resample(StrEnum):
    """What differs between the runs of a reliability analysis; ``both`` is half the runs of each kind."""

    both = "both"
    starts = "starts"
    texts = "texts"


class Surrogate(StrEnum):
    """Null signals that reproducibility is compared with; ``none`` computes no p value."""

    phase = "phase"
    shift = "shift"
    none = "none"


class Schedule(StrEnum):
    """How the learning rate goes on from its full value, as transformers names it."""

    linear = "linear"
    cosine = "cosine"
    constant = "constant"
    constant_with_warmup = "constant_with_warmup"
