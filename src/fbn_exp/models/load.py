"""Load a language model and its tokenizer: hub, local folder, GGUF file, or random weights."""

import copy
import dataclasses
import functools
import hashlib
import json
import logging
import time
from dataclasses import dataclass
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
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.models.config import ModelConfig, Quantization
from fbn_exp.models.generation import written
from fbn_exp.models.gguf import converted, in_package
from fbn_exp.models.offload import device_of, named_weights
from fbn_exp.models.precision import check_quantization, choose_device, choose_dtype, quantization_config
from fbn_exp.models.random import byte_tokenizer, random_model
from fbn_exp.models.sites import resolve

log = logging.getLogger(__name__)

CLASSIFIER = "ForSequenceClassification"
# what reading a checkpoint that is broken, foreign, or carries code of its own was seen to raise
UNREADABLE = (
    OSError,
    ValueError,
    ImportError,
    KeyError,
    AttributeError,
    TypeError,
    RuntimeError,
    SafetensorError,
)


@dataclass(frozen=True, eq=False, repr=False)
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

    Examples
    --------
    >>> lm = fbn.load_model("smollm2")
    >>> lm.generate("The train", new_tokens=5)
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    config: ModelConfig
    revision: str | None

    def __repr__(self) -> str:
        return f"LanguageModel({self.name}, {self.dtype}, on {self.device})"

    @property
    def name(self) -> str:
        """Name that the model was asked by, of a GGUF file the file's."""
        name = self.config.name
        return Path(name).stem if name.endswith(".gguf") else name

    @property
    def provenance(self) -> dict[str, str | None]:
        """Everything that tells this model from others, as plain json."""
        return {
            "model": self.name,
            "revision": self.revision,
            "weight_digest": self.weight_digest,
            "dtype": self.dtype,
        }

    @property
    def dtype(self) -> str:
        """Number format of the weights, as ``float32``."""
        return _precision(self.model.dtype)

    @property
    def device(self) -> torch.device:
        """Device that token ids go to."""
        return device_of(self.model.get_input_embeddings())

    @property
    def pad_id(self) -> int:
        """Token id for padding, which never enters a result."""
        return padding_id(self.tokenizer)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Labels of a sequence-classification head in the order of its outputs, None without such a head."""
        if not type(self.model).__name__.endswith(CLASSIFIER):
            return None
        names: Any = self.model.config.id2label
        return tuple(str(names[index]) for index in range(len(names)))

    def require_language_head(self, what: str) -> None:
        """Refuse what needs predictions of the next token, on a model that was trained to classify.

        Raises
        ------
        ModelError
            If the model has a classification head instead.
        """
        if self.labels is not None:
            raise ModelError(
                f"{what} needs a language model, {self.name} has a head for {len(self.labels)} labels "
                "instead: take benchmark=classification, or the model that it was trained from"
            )

    def generate(self, prompt: str, new_tokens: int = 48) -> str:
        """Text that the model writes after a prompt, greedily; interventions on it stay on.

        Examples
        --------
        >>> lm.generate("The train", new_tokens=5)
        ' left the station at noon'
        """
        self.require_language_head("generate")
        ids = self.tokenizer(prompt)["input_ids"]
        text = self.tokenizer.decode(written(self, [ids], new_tokens)[0], skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    @functools.cached_property
    def weight_digest(self) -> str:
        """Sha256 over all weights rounded to bfloat16: the same whether loaded in float32 or bfloat16."""
        digest = hashlib.sha256()
        for name, weight in named_weights(self.model):
            rounded = weight.to(torch.bfloat16) if weight.is_floating_point() else weight
            digest.update(name.encode())
            digest.update(rounded.reshape(-1).cpu().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @functools.lru_cache(maxsize=1)  # noqa: B019 - one model is kept in memory at a time anyway
    def forward_rate(self) -> float:
        """Tokens per second of a short forward pass, to tell how long a run will take."""
        ids = torch.zeros(4, 64, dtype=torch.long, device=self.device)
        with torch.inference_mode():
            self._wait(self.model(input_ids=ids[:1], use_cache=False).logits)
            started = time.perf_counter()
            self._wait(self.model(input_ids=ids, use_cache=False).logits)
        return ids.numel() / (time.perf_counter() - started)

    @staticmethod
    def _wait(result: torch.Tensor) -> None:
        """Wait until an accelerator has computed a result: reading a value does."""
        result.flatten()[-1].item()

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
    key = json.dumps([dataclasses.asdict(config), str(cache)], sort_keys=True)
    if key not in _kept:
        _kept.clear()  # before loading: two models may not fit into memory
        _kept[key] = _load(copy.deepcopy(config), cache)
    return _kept[key]


_kept: dict[str, LanguageModel] = {}
"""The model loaded last, by its config: the jobs of a sweep share it."""


def take(config: ModelConfig, cache: Path) -> LanguageModel:
    """Load a model for the caller alone, who may change its weights: nothing of it is kept.

    Raises
    ------
    ModelError
        As ``load``.
    """
    _kept.clear()
    return _load(copy.deepcopy(config), cache)


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Token id for padding: the tokenizer's own, or else that of the end of a text, or else 0."""
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return int(next((each for each in known if each is not None), 0))


def _load(config: ModelConfig, cache: Path) -> LanguageModel:
    if config.trust_remote_code:
        log.warning("trust_remote_code: Python code that comes with %s is run", config.name)
    device = choose_device(config.device)
    dtype = choose_dtype(config.dtype, device)
    check_quantization(config.quantization, config.name, device)
    kind, _, rest = config.name.partition(":")
    if kind == "random":
        model, tokenizer = random_model(rest, config.random), byte_tokenizer()
        model = model.to(dtype)  # type: ignore[arg-type]
    else:
        model, tokenizer = _from_pretrained(config, _source(config.name, cache / "models"), dtype, device)
    placed = config.device_map is not None or config.quantization is not Quantization.none
    if not placed or kind == "random":
        model = model.to(device)  # type: ignore[arg-type]
    model.eval()
    log.info("loaded %s: %s, %s on %s", config.name, type(model).__name__, _precision(dtype), model.device)
    return LanguageModel(model, tokenizer, config, getattr(model.config, "_commit_hash", None))


def _source(name: str, cache: Path) -> Path | str:
    """Folder to load from, or else a name for the hub."""
    kind, _, rest = name.partition(":")
    if kind == "package":
        return converted(in_package(rest), cache)
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
            # transformers would only warn, and go on with random numbers in their place
            raise ValueError(f"{len(missing)} weights are missing in it: {', '.join(missing[:3])}")
    except UNREADABLE as error:
        raise ModelError(_explain(config, source, error)) from error
    if classifies and model.config.get_text_config().pad_token_id is None:
        # a head reads the last token that is no padding
        model.config.get_text_config().pad_token_id = padding_id(tokenizer)
    return model, tokenizer


def _placement(config: ModelConfig, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Where the weights go, and in which form."""
    quantized = quantization_config(config.quantization, dtype)
    placed = config.device_map
    if quantized is not None and placed is None:
        placed = {"": device}  # quantised weights are made on their device, and do not move
    return {"device_map": placed, "quantization_config": quantized}


def _explain(config: ModelConfig, source: Path | str, error: Exception) -> str:
    name = config.name
    if isinstance(source, str) and source.startswith((".", "/", "~")):
        return f"model.name is {name!r}, but there is no such folder or .gguf file"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
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


def _precision(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
