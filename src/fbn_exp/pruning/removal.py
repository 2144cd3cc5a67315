"""Take neurons out of a copy of a model's weights, save it as an ordinary checkpoint, and check that."""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from fbn_exp.core.errors import PruningError
from fbn_exp.core.files import new_folder, write_json
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.models.config import Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.neuron_weights import WeightSlice, neuron_weights, outputs_first
from fbn_exp.models.pretrained import read_model
from fbn_exp.models.saving import save_checkpoint
from fbn_exp.pruning.architecture import Holding, maps_of
from fbn_exp.pruning.selection import Selection

# what was pruned and why, beside the weights
DESCRIPTION = "pruning.json"
PROBE_TOKENS = 16
# largest allowed difference of logits from those of the hooked model, relative to the largest logit
TOLERANCE = {torch.bfloat16: 5e-2, torch.float16: 1e-2}
FULL_PRECISION_TOLERANCE = 1e-3


def pruned_copy(
    model: PreTrainedModel, selection: Selection, holding: Holding, means: Tensor | None
) -> PreTrainedModel:
    """Copy a model without the selected neurons; the model itself is not changed.

    Parameters
    ----------
    model : PreTrainedModel
        The model.
    selection : Selection
        Neurons that are pruned.
    holding : Holding
        Configuration of the copy; says whether neurons are taken out, or their weights become zero.
    means : Tensor of shape (N,) or None
        Mean activation of every neuron; what pruned ones contribute on average goes into the bias of the map
        out of the hidden layer. None adds nothing.
    """
    twin = copy.deepcopy(model)
    layout, pruned = selection.layout, selection.pruned
    with torch.no_grad():
        if means is not None:
            for block, into, out in maps_of(twin, layout):
                _add_to_bias(into, out, means[block.columns] * pruned[block.columns])
        for piece in neuron_weights(twin, layout, pruned):
            if holding.smaller:
                _take_out(twin, piece)
            else:
                weight: Tensor = getattr(twin.get_submodule(piece.module), piece.name)
                weight.index_fill_(piece.dimension, piece.indices.to(weight.device), 0)
    twin.config = copy.deepcopy(holding.config)
    return twin


def _add_to_bias(into: list[nn.Module], out: nn.Module, hidden: Tensor) -> None:
    """Add what a constant hidden layer gives to a map's bias; biases that are not there become zeros."""
    for module in (*into, out):
        if out.bias is None and module is not out and module.bias is None:
            module.bias = _zeros(module)
    weight = out.weight
    assert isinstance(weight, Tensor)
    by_output = weight if outputs_first(out) else weight.T
    constant = by_output.double() @ hidden.double().to(weight.device)
    if out.bias is None:
        out.bias = _zeros(out)
    assert isinstance(out.bias, Tensor)
    out.bias.copy_(out.bias.double() + constant)


def _zeros(module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return nn.Parameter(weight.new_zeros(weight.shape[0 if outputs_first(module) else 1]))


def _take_out(model: nn.Module, piece: WeightSlice) -> None:
    module = model.get_submodule(piece.module)
    weight: nn.Parameter = getattr(module, piece.name)
    kept = torch.ones(weight.shape[piece.dimension], dtype=torch.bool)
    kept[piece.indices] = False
    indices = kept.nonzero()[:, 0].to(weight.device)
    shorter = weight.index_select(piece.dimension, indices).contiguous()
    setattr(module, piece.name, nn.Parameter(shorter, requires_grad=weight.requires_grad))
    if piece.name == "weight":
        rows, columns = shorter.shape
        if isinstance(module, Conv1D):
            module.nx, module.nf = rows, columns
        else:
            module.out_features, module.in_features = rows, columns  # type: ignore[assignment]


def save(twin: PreTrainedModel, lm: LanguageModel, description: Mapping[str, Any], folder: Path) -> None:
    """Save a pruned copy with its tokenizer and a description, for plain ``from_pretrained``."""
    with new_folder(folder) as partial:
        save_checkpoint(twin, lm.tokenizer, partial)
        write_json(partial / DESCRIPTION, description)


def read_description(folder: Path) -> dict[str, Any]:
    """Read what was saved beside a pruned checkpoint."""
    content: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    return content


def reloaded(lm: LanguageModel, folder: Path, cache: Path) -> LanguageModel:
    """Load a saved copy as any tool would, in the number format and on the device of the original."""
    config = dataclasses.replace(
        lm.config, name=str(folder), revision=None, dtype=Precision(lm.dtype), random={}
    )
    return read_model(config, cache)


def require_equal(
    lm: LanguageModel, other: LanguageModel, selection: Selection, means: Tensor | None
) -> float:
    """Compare a pruned model with the original under hooks that replace the neurons' activations.

    In bfloat16 a model from which much was pruned can amplify rounding to a fifth of its largest logit, so
    models that differ by more than is usual are compared again in float32, one of them at a time.

    Parameters
    ----------
    lm, other : LanguageModel
        The original, and the pruned one as it was loaded again.
    selection : Selection
        Neurons that were pruned.
    means : Tensor of shape (N,) or None
        Values in the place of their activations; None stands for 0.

    Returns
    -------
    float
        Largest difference of the logits, relative to the largest logit.

    Raises
    ------
    PruningError
        If they differ by more than rounding.
    """
    pruned = selection.pruned
    shift = torch.zeros(len(pruned)) if means is None else means.float() * pruned
    edit = AffineEdit((~pruned).float(), shift)
    error = _difference(lm, other, selection, edit)
    usual = TOLERANCE.get(lm.model.dtype, FULL_PRECISION_TOLERANCE)
    if not error <= usual and lm.model.dtype in TOLERANCE:
        # a bias is saved in the model's format, which float32 does not undo
        usual = FULL_PRECISION_TOLERANCE if means is None else usual
        error = _difference(lm, other, selection, edit, in_float32)
    if not error <= usual:
        raise PruningError(
            f"the pruned checkpoint's logits differ from those of hooks by {error:.1e} of the largest: "
            f"{type(lm.model).__name__} does more with its hidden neurons than its maps say"
        )
    return error


def _difference(
    lm: LanguageModel,
    other: LanguageModel,
    selection: Selection,
    edit: AffineEdit,
    prepared: Callable[[nn.Module], AbstractContextManager[object]] = nullcontext,
) -> float:
    """Largest difference of logits, relative to the largest one of the edited model."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = lm.model.config.get_text_config().vocab_size
    ids = torch.randint(0, vocabulary, (1, PROBE_TOKENS), generator=generator)
    # weights that are made in inference mode could not be trained afterwards: it is entered after them
    with prepared(lm.model), applied(lm.model, selection.layout, edit), torch.inference_mode():
        expected = lm.logits(ids).float()
    with prepared(other.model), torch.inference_mode():
        logits = other.logits(ids).float()
    return float((logits - expected).abs().max() / expected.abs().max())


@contextmanager
def in_float32(model: nn.Module) -> Iterator[None]:
    """Hold the weights of a model in float32; at the end they are, bit by bit, what they were.

    Buffers stay as they are, since some are in float32 for good reason.
    """
    formats = [(weight, weight.dtype) for weight in model.parameters() if weight.is_floating_point()]
    try:
        for weight, _ in formats:
            weight.data = weight.data.float()
        yield
    finally:
        for weight, dtype in formats:
            weight.data = weight.data.to(dtype)
