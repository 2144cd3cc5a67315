"""Moments of hidden neurons over texts, without keeping the activations."""

from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.core.errors import SignalError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.models.hooks import visited
from fbn_exp.models.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Activity:
    """Moments of every neuron.

    Attributes
    ----------
    mean : Tensor of shape (N,), float64
        Mean over tokens, without the first ones of each text.
    root_mean_square : Tensor of shape (N,), float64
        Over all tokens.
    """

    mean: Tensor
    root_mean_square: Tensor


def measure_activity(
    lm: LanguageModel, layout: NeuronLayout, texts: Texts, first_excluded: int, batch_tokens: int
) -> Activity:
    """Measure the moments of every neuron in a pass over texts.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    layout : NeuronLayout
        Layout of the neurons.
    texts : Texts
        The texts.
    first_excluded : int
        Number of first tokens of each text that do not enter the means: where a model has an attention sink,
        its activations are far from those at all others.
    batch_tokens : int
        Largest number of tokens in a batch, padding included.

    Raises
    ------
    SignalError
        If an activation is not finite, or no token is left.
    """
    sums = torch.zeros(2, layout.n_neurons, dtype=torch.float64)
    counted, places = 0, torch.zeros(0)

    def add(block: Block, activations: Tensor) -> None:
        flat = activations.reshape(-1, block.width).double()
        # rows: tokens that enter the mean, all tokens that are no padding
        weights = places.to(flat.device)
        sums[0, block.columns] += (weights[0] @ flat).cpu()
        sums[1, block.columns] += (weights[1] @ flat.square()).cpu()

    bar = tqdm(total=texts.n_tokens, unit=" tokens", unit_scale=True, desc="activity", leave=False)
    with bar, torch.inference_mode(), visited(lm.model, layout, add):
        for batch in length_batches(texts.lengths, batch_tokens):
            ids, mask = pad([texts.ids[text] for text in batch], lm.pad_id)
            later = mask * (torch.arange(mask.shape[1]) >= first_excluded)
            places = torch.stack([later.flatten(), mask.flatten()]).double()
            lm.model.base_model(
                input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), use_cache=False
            )
            counted += int(later.sum())
            bar.update(int(mask.sum()))
    if not sums.isfinite().all():
        raise SignalError("an activation is not finite: the model overflows, try model.dtype=float32")
    if not counted:
        raise SignalError(
            f"no token is left: no text has more than {first_excluded} tokens, and "
            "signals.first_tokens_excluded leaves that many out"
        )
    return Activity(sums[0] / counted, (sums[1] / texts.n_tokens).sqrt())
