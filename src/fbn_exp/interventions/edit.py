"""Affine edit of every neuron, applied to a running model by hooks."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.models.hooks import marked_as_edited, visited


@dataclass(frozen=True, eq=False)
class Edit:
    """Affine change of the activation x of every neuron: scale · x + shift.

    Attributes
    ----------
    scale, shift : Tensor of shape (N,), float32
        Factor and constant per neuron, in the order of the layout; 1 and 0 change nothing.
    """

    scale: Tensor
    shift: Tensor

    @property
    def touched(self) -> Tensor:
        """Neurons that are changed, bool of shape (N,)."""
        return (self.scale != 1) | (self.shift != 0)

    @property
    def digest(self) -> str:
        """SHA-256 of this edit, equal for equal edits."""
        both = torch.stack([self.scale, self.shift]).float() + 0.0  # -0.0 is equal to 0.0
        return hashlib.sha256(both.numpy().tobytes()).hexdigest()


def no_edit(n_neurons: int) -> Edit:
    """Edit that changes nothing."""
    return Edit(torch.ones(n_neurons), torch.zeros(n_neurons))


@contextmanager
def applied(model: nn.Module, layout: NeuronLayout, edit: Edit) -> Iterator[nn.Module]:
    """Edit the neurons of a running model while the context is open; weights are not touched.

    Only blocks with a changed neuron are hooked. A block's factors move to its device at the first pass
    and stay there. Only the hooks set here are removed, also after an exception.

    Parameters
    ----------
    model : nn.Module
        The model that ``layout`` was resolved in.
    layout : NeuronLayout
        Layout of the neurons.
    edit : Edit
        Scale and shift per neuron.

    Yields
    ------
    nn.Module
        The same model.

    Raises
    ------
    LayoutError
        If the edit and the layout differ in their number of neurons.
    """
    for name, vector in (("scale", edit.scale), ("shift", edit.shift)):
        if vector.shape != (layout.n_neurons,):
            raise LayoutError(
                f"{name} has shape {tuple(vector.shape)}, the layout has {layout.n_neurons} neurons"
            )
    touched = edit.touched
    changed = tuple(block for block in layout.blocks if touched[block.columns].any())
    on_device: dict[tuple[str, torch.device, torch.dtype], tuple[Tensor, Tensor | None]] = {}

    def change(block: Block, activations: Tensor) -> Tensor:
        key = (block.path, activations.device, activations.dtype)
        if key not in on_device:
            scale, shift = edit.scale[block.columns], edit.shift[block.columns]
            # factors created in inference mode could not be used in a later backward pass
            with torch.inference_mode(False):
                on_device[key] = (
                    scale.to(activations.device, activations.dtype),
                    shift.to(activations.device, activations.dtype) if shift.any() else None,
                )
        factor, constant = on_device[key]
        scaled = activations * factor
        return scaled if constant is None else scaled + constant

    with marked_as_edited(model), visited(model, replace(layout, blocks=changed), change):
        yield model
