"""Options of the config group ``model``."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fbn_exp.core.checks import require, require_choice


class Precision(StrEnum):
    """Number format of the weights; ``auto`` takes bfloat16 where the hardware supports it natively."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Quantization(StrEnum):
    """Storage format of the weights: unchanged, or in 8 or 4 bits (bitsandbytes, on a GPU)."""

    none = "none"
    int8 = "int8"
    nf4 = "nf4"


@dataclass
class ModelConfig:
    """A causal language model and how to load it.

    Attributes
    ----------
    name : str
        A hub id, a local folder, a ``.gguf`` file, ``package:<module>/<file>.gguf`` for a file inside an
        installed Python package, or ``random:<model_type>`` for random weights.
    revision : str or None
        Branch, tag or commit on the hub.
    dtype : Precision
        Number format of the weights; ``auto`` takes bfloat16 where the hardware supports it natively. Signals
        are always float32.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ….
    device_map : str or mapping or None
        accelerate's placement of a model that does not fit on one device: ``auto``, ``balanced``,
        ``sequential``, or a mapping of module names to devices (``0``, ``cpu``, ``disk``).
    quantization : Quantization
        Storage format of the weights: unchanged, or in 8 or 4 bits (bitsandbytes, on a GPU).
    trust_remote_code : bool
        Run Python code that comes with the weights; the log says so.
    paths : mapping of str to str
        Module path by site, with ``*`` for the block's index, for unknown architectures.
    random : mapping
        Arguments of the model's configuration class, for ``name=random:<model_type>`` only.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    name: str
    revision: str | None = None
    dtype: Precision = Precision.auto
    device: str = "auto"
    device_map: Any = None
    quantization: Quantization = Quantization.none
    trust_remote_code: bool = False
    paths: dict[str, str] = field(default_factory=dict)
    random: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(bool(self.name), "model.name", repr(self.name), "name a model")
        self.dtype = require_choice(Precision, "model.dtype", self.dtype)
        self.quantization = require_choice(Quantization, "model.quantization", self.quantization)
