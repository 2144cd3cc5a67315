"""Read a language model and its tokenizer: hub, local folder, GGUF file, or random weights."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    __version__,
)

from fbn_exp.core.errors import ModelError
from fbn_exp.models.config import ModelConfig, Quantization
from fbn_exp.models.gguf.conversion import converted
from fbn_exp.models.gguf.package import in_package
from fbn_exp.models.language_model import CLASSIFIER, LanguageModel, padding_id, precision_name
from fbn_exp.models.precision import check_quantization, choose_device, choose_dtype, quantization_config
from fbn_exp.models.random import byte_tokenizer, random_model

log = logging.getLogger(__name__)

# exceptions observed when a checkpoint is corrupt, has another format, or runs code that comes with it
UNREADABLE = (
    OSError,
    ValueError,
    ImportError,
    KeyError,
    AttributeError,
    TypeError,
    RuntimeError,
    EOFError,
    SafetensorError,
    pickle.UnpicklingError,
)


def read_model(config: ModelConfig, cache: Path) -> LanguageModel:
    """Read a model from the source that its name refers to.

    Raises
    ------
    ModelError
        If it cannot be found, reached or read.
    """
    if config.trust_remote_code:
        log.warning("trust_remote_code: Python code that comes with %s is run", config.name)
    device = choose_device(config.device)
    dtype = choose_dtype(config.dtype, device)
    check_quantization(config.quantization, config.name, device)
    origin, _, rest = config.name.partition(":")
    if origin == "random":
        model, tokenizer = random_model(rest, config.random), byte_tokenizer()
        model = model.to(dtype)  # type: ignore[arg-type]
    else:
        model, tokenizer = _from_pretrained(config, _source(config.name, cache / "models"), dtype, device)
    placed = config.device_map is not None or config.quantization is not Quantization.none
    if not placed or origin == "random":
        model = model.to(device)  # type: ignore[arg-type]
    model.eval()
    log.info(
        "loaded %s: %s, %s on %s", config.name, type(model).__name__, precision_name(dtype), model.device
    )
    return LanguageModel(model, tokenizer, config, getattr(model.config, "_commit_hash", None))


def _source(name: str, cache: Path) -> Path | str:
    """Local folder to load from, or a name on the hub."""
    kind, _, rest = name.partition(":")
    if kind == "package":
        return converted(in_package(rest, cache), cache)
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return converted(path, cache)
    return path if path.is_dir() else name


def _from_pretrained(
    config: ModelConfig, source: Path | str, dtype: torch.dtype, device: torch.device
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    options = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    try:
        # the configuration is small: a wrong name fails here, before any weights are fetched
        described = AutoConfig.from_pretrained(source, **options)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        classifies = any(name.endswith(CLASSIFIER) for name in described.architectures or ())
        kind: Any = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
        loaded: Any = kind.from_pretrained(
            source, dtype=dtype, **_placement(config, dtype, device), output_loading_info=True, **options
        )
        model, report = loaded  # a pair, though the annotation says a model
        if missing := sorted(report["missing_keys"]):
            # transformers would only warn, and continue with random values in their place
            raise ValueError(f"{len(missing)} weights are missing in it: {', '.join(missing[:3])}")
    except UNREADABLE as error:
        raise ModelError(_explain(config, source, error)) from error
    if classifies and model.config.get_text_config().pad_token_id is None:
        # the classification head reads the last token that is not padding
        model.config.get_text_config().pad_token_id = padding_id(tokenizer)
    return model, tokenizer


def _placement(config: ModelConfig, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Loading options for the placement and the quantisation of the weights."""
    quantized = quantization_config(config.quantization, dtype)
    placed = config.device_map
    if quantized is not None and placed is None:
        placed = {"": device}  # quantised weights are created on their device and cannot be moved
    return {"device_map": placed, "quantization_config": quantized}


def _maker(name: str) -> str:
    """What makes a checkpoint that is missing, in words; empty for other folders."""
    if Path(name).name != "checkpoint":
        return ""
    return (
        ": train.py makes checkpoints, python train.py experiment=decisive/classifiers those of "
        "experiment=decisive/preservation and decisive/share"
    )


def _explain(config: ModelConfig, source: Path | str, error: Exception) -> str:
    name = config.name
    # names on the hub have one slash at most
    if isinstance(source, str) and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        return f"model.name is {name!r}, but there is no such folder or .gguf file{_maker(name)}"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    if isinstance(error, pickle.UnpicklingError):
        # transformers lets torch read tensors only
        reason = (
            "its weights are a pickle of more than tensors, or damaged: they are not read, safetensors are"
        )
    message = f"cannot load {name}: {reason}"
    if isinstance(source, Path) and source != Path(name).expanduser():
        message += f"\nit was read from {source}: delete that folder to convert the file again"
    if "trust_remote_code" in str(error) and not config.trust_remote_code:
        message += "\nmodel.trust_remote_code=true runs the Python code that comes with it"
    elif config.trust_remote_code:
        message += f"\nits own code was run; it may be written for another transformers than {__version__}"
    elif isinstance(source, str) and isinstance(error, OSError):
        message += (
            f"\nif the hub cannot be reached from here, give model.name=/path/to/a/local/copy of {name}"
        )
    return message
