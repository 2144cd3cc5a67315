"""A loaded language model with its tokenizer."""

import functools
import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fbn_exp.core.checks import require, require_choice
from fbn_exp.core.errors import ModelError
from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.decoding.generation import written
from fbn_exp.models.decoding.predictions import Predictions, predictions, token_nats
from fbn_exp.models.hooks import is_edited
from fbn_exp.models.offload import device_of, named_weights
from fbn_exp.models.sites import resolve

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# duration of passes that tells the speed of a model
ENOUGH_SECONDS = 0.1
CLASSIFIER = "ForSequenceClassification"


@dataclass(frozen=True, eq=False, repr=False)
class LanguageModel:
    """A loaded model, its tokenizer, and their provenance.

    Attributes
    ----------
    model : PreTrainedModel
        The model, in evaluation mode.
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    config : ModelConfig
        Settings that the model was loaded with.
    revision : str or None
        Commit of the hub repository, if the model came from one.
    prepared : dict
        What benchmarks have made of the model and its texts, for the next run of a sweep.

    Examples
    --------
    >>> lm = fbn.load_model("smollm2")
    >>> lm.generate("The train", new_tokens=5)
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    config: ModelConfig
    revision: str | None
    # that of a copy with another model is its own
    prepared: dict[str, Any] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        return f"LanguageModel({self.name}, {self.dtype}, on {self.device})"

    @property
    def name(self) -> str:
        """Name in the config; for a GGUF file, the file name without its suffix."""
        name = self.config.name
        return Path(name).stem if name.endswith(".gguf") else name

    @property
    def provenance(self) -> dict[str, str | None]:
        """Identity of the model as a plain structure for JSON: name, revision, weight digest, dtype."""
        return {
            "model": self.name,
            "revision": self.revision,
            "weight_digest": None if is_edited(self.model) else self.weight_digest,
            "dtype": self.dtype,
        }

    @property
    def dtype(self) -> str:
        """Number format of the weights, such as ``float32``."""
        return precision_name(self.model.dtype)

    @property
    def device(self) -> torch.device:
        """Device that token ids must be moved to."""
        return device_of(self.model.get_input_embeddings())

    @property
    def pad_id(self) -> int:
        """Token id for padding; padded positions never enter a result."""
        return padding_id(self.tokenizer)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Labels of a sequence-classification head in the order of its outputs, None without such a head."""
        if not type(self.model).__name__.endswith(CLASSIFIER):
            return None
        names: Any = self.model.config.id2label
        return tuple(str(names[index]) for index in range(len(names)))

    def require_language_head(self, what: str) -> None:
        """Refuse a task that needs next-token predictions if the model was trained to classify.

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
        """Generate a greedy continuation of a prompt; active interventions stay active.

        Examples
        --------
        >>> lm.generate("The train", new_tokens=5)
        ' left the station at noon'
        """
        self.require_language_head("generate")
        ids = self.tokenizer(prompt)["input_ids"]
        require(len(ids) > 0, "prompt", repr(prompt), "hold at least one token")
        text = self.tokenizer.decode(written(self, [ids], new_tokens)[0], skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    def logits(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits of a forward pass over whole texts; active interventions stay active.

        Parameters
        ----------
        ids : Tensor of shape (B, L), int64
            Token ids.
        mask : Tensor of shape (B, L), optional
            1 where there is a token, 0 at padding.

        Returns
        -------
        Tensor of shape (B, L, V), or (B, labels) of a classifier
            In the model's number format.
        """
        inputs = {"input_ids": ids} if mask is None else {"input_ids": ids, "attention_mask": mask}
        on_device = {name: each.to(self.device) for name, each in inputs.items()}
        logits: torch.Tensor = self.model(**on_device, use_cache=False).logits
        return logits

    def predictions(self, ids: torch.Tensor, mask: torch.Tensor) -> Predictions:
        """Predictions of a forward pass, whose logits are computed where they are asked for.

        Parameters
        ----------
        ids, mask : Tensor of shape (B, L), int64
            As for ``logits``.
        """
        inputs = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
        return predictions(self.model, **inputs, use_cache=False)

    @functools.cached_property
    def weight_digest(self) -> str:
        """SHA-256 over all weights rounded to bfloat16: the same whether loaded in float32 or bfloat16."""
        digest = hashlib.sha256()
        for name, weight in named_weights(self.model):
            rounded = weight.to(torch.bfloat16) if weight.is_floating_point() else weight
            digest.update(name.encode())
            digest.update(rounded.reshape(-1).cpu().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @functools.lru_cache(maxsize=1)  # noqa: B019 - one model is kept in memory at a time anyway
    def forward_rate(self) -> float:
        """Tokens per second of short forward passes, to estimate how long a run will take."""
        ids = torch.zeros(4, 64, dtype=torch.long, device=self.device)
        with torch.inference_mode():
            self._wait(self.logits(ids[:1]))
            started, passes = time.perf_counter(), 0
            # one pass of a large model is long enough; those of a small one are disturbed by other processes
            while passes == 0 or time.perf_counter() - started < ENOUGH_SECONDS:
                self._wait(self.logits(ids))
                passes += 1
        return passes * ids.numel() / (time.perf_counter() - started)

    @staticmethod
    def _wait(result: torch.Tensor) -> None:
        """Wait until an accelerator has computed a result; reading one value forces it."""
        result.flatten()[-1].item()

    def layout(self, site: Site | str) -> NeuronLayout:
        """Layout of a site's neurons in this model; found once, by a short forward pass.

        Raises
        ------
        ConfigError, LayoutError
            If there is no such site, or it cannot be found in this architecture.
        """
        chosen = require_choice(Site, "site", site)
        if chosen not in self._layouts:
            self._layouts[chosen] = resolve(self.model, chosen, self.config.paths)
        return self._layouts[chosen]

    @functools.cached_property
    def _layouts(self) -> dict[Site, NeuronLayout]:
        return {}


def nats_of(logits: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of the tokens of each row after the first, without padding, float64.

    Parameters
    ----------
    logits : Tensor of shape (B, L, V)
        Output of a language model.
    ids, mask : Tensor of shape (B, L)
        Token ids, and 1 where there is a token; padding is on the right.

    Returns
    -------
    Tensor of shape (B,)
        Nats, summed over the tokens of each row.
    """
    losses = token_nats(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    per_text = losses.view(ids.shape[0], -1).double()
    return per_text.masked_fill(mask[:, 1:] == 0, 0.0).sum(dim=1)


def padding_id(tokenizer: "PreTrainedTokenizerBase") -> int:
    """Token id for padding: the tokenizer's padding token, else its end-of-text token, else 0."""
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return int(next((token for token in known if token is not None), 0))


def precision_name(dtype: torch.dtype) -> str:
    """Name of a number format as in configs, such as ``float32``."""
    return str(dtype).removeprefix("torch.")
