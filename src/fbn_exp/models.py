"""Load a language model and its tokenizer: hub, local folder, GGUF file, or random weights."""

import dataclasses
import functools
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from fbn_exp.config.choices import Precision, Site
from fbn_exp.config.options import ModelConfig
from fbn_exp.errors import ModelError
from fbn_exp.gguf import converted, in_package
from fbn_exp.layout import NeuronLayout
from fbn_exp.random_model import byte_tokenizer, random_model
from fbn_exp.sites import resolve

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A loaded model, its tokenizer, and where both came from.

    Attributes
    ----------
    model : PreTrainedModel
        In evaluation mode.
    tokenizer : PreTrainedTokenizerBase
        Its own tokenizer.
    config : ModelConfig
        What was asked for.
    revision : str or None
        Commit of the hub repository, where there is one.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    config: ModelConfig
    revision: str | None

    @property
    def name(self) -> str:
        """Name that the model was asked by, of a GGUF file the file's."""
        name = self.config.name
        return Path(name).stem if name.endswith(".gguf") else name

    @property
    def device(self) -> torch.device:
        """Device that token ids go to."""
        return self.model.get_input_embeddings().weight.device  # type: ignore[no-any-return, union-attr]

    @property
    def pad_id(self) -> int:
        """Token id for padding, which never enters a result."""
        known = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return int(next((each for each in known if each is not None), 0))

    @functools.cached_property
    def weight_digest(self) -> str:
        """Sha256 over all weights rounded to bfloat16, so that it does not depend on the dtype loaded."""
        digest = hashlib.sha256()
        for name, weight in self.model.named_parameters():
            rounded = weight.detach().to(torch.bfloat16) if weight.is_floating_point() else weight.detach()
            digest.update(name.encode())
            digest.update(rounded.contiguous().cpu().view(torch.uint8).numpy())
        return digest.hexdigest()

    def layout(self, site: Site) -> NeuronLayout:
        """Neurons of a site in this model."""
        return resolve(self.model, site, self.config.paths)


def load(config: ModelConfig, cache: Path) -> LanguageModel:
    """Load a model, or take it from memory when the last one was loaded with an equal config.

    Parameters
    ----------
    config : ModelConfig
        Name, revision, dtype, device; see its docstring for the kinds of names.
    cache : Path
        Folder in which a converted GGUF model is kept.

    Returns
    -------
    LanguageModel
        Ready for forward passes.

    Raises
    ------
    ModelError
        If it cannot be found, reached or read.
    """
    return _load(json.dumps(dataclasses.asdict(config), sort_keys=True), str(cache))


@functools.lru_cache(maxsize=1)
def _load(config_json: str, cache: str) -> LanguageModel:
    plain = json.loads(config_json)
    config = ModelConfig(**{**plain, "dtype": Precision(plain["dtype"])})
    if config.trust_remote_code:
        log.warning("trust_remote_code: Python code that comes with %s is run", config.name)
    device = choose_device(config.device)
    dtype = choose_dtype(config.dtype, device)
    kind, _, rest = config.name.partition(":")
    if kind == "random":
        model, tokenizer = random_model(rest, config.random).to(dtype), byte_tokenizer()
    else:
        source = in_package(rest) if kind == "package" else Path(config.name).expanduser()
        if source.suffix == ".gguf":
            source = converted(source, Path(cache) / "models")
        model, tokenizer = _from_pretrained(config, source if source.is_dir() else config.name, dtype)
    if config.device_map is None:
        model = model.to(device)  # type: ignore[arg-type]
    model.eval()
    log.info("loaded %s: %s, %s on %s", config.name, type(model).__name__, _precision(dtype), model.device)
    return LanguageModel(model, tokenizer, config, getattr(model.config, "_commit_hash", None))


def _from_pretrained(
    config: ModelConfig, source: str | Path, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    options = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    try:
        # the configuration is small: a wrong name fails here, before any weights are fetched
        AutoConfig.from_pretrained(source, **options)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, device_map=config.device_map, **options
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(_explain(config.name, error)) from error
    return model, tokenizer


def _explain(name: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    if Path(name).expanduser().is_dir():
        return f"cannot load the model in the folder {name}: {reason}"
    if name.startswith((".", "/", "~")):
        return f"model.name is {name!r}, but there is no such folder or .gguf file"
    return (
        f"cannot load {name}: {reason}\n"
        f"if the hub cannot be reached from here, give model.name=/path/to/a/local/copy of {name}"
    )


def choose_device(asked: str) -> torch.device:
    """Device by name; ``auto`` takes a GPU where there is one.

    Raises
    ------
    ModelError
        If torch does not know the name.
    """
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(asked)
    except RuntimeError as error:
        raise ModelError(f"model.device is {asked!r}: {str(error).splitlines()[0]}") from error


def choose_dtype(asked: Precision, device: torch.device) -> torch.dtype:
    """Format of the weights; ``auto`` takes bfloat16 only where the hardware multiplies in it."""
    if asked is not Precision.auto:
        return {
            Precision.float32: torch.float32,
            Precision.bfloat16: torch.bfloat16,
            Precision.float16: torch.float16,
        }[asked]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # without these instructions a processor emulates bfloat16, several times slower than float32
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def _precision(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
