"""Edits: what happens to the activation of every neuron, applied to a running model by hooks."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from typing_extensions import override

from fbn_exp.core.errors import LayoutError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.interventions.block_maps import BlockMap, Scaling
from fbn_exp.models.hooks import marked_as_edited, visited
from fbn_exp.models.positions import Tokens, require_tokens, running_tokens

Sums = tuple[float, Tensor, Tensor]
"""Number of tokens, sum of activations, sum of squared activations, of every neuron."""


class Edit(ABC):
    """Change of the activations of a model's neurons."""

    @property
    @abstractmethod
    def touched(self) -> Tensor:
        """Neurons that are changed, bool of shape (N,)."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of this edit, equal for equal edits."""

    @property
    def by_position(self) -> bool:
        """Whether the change depends on a token's position, so that ``change`` needs ``tokens``."""
        return False

    @property
    def unfoldable(self) -> str | None:
        """Why the edit has no equivalent in weights, in words; None for an affine map of each block."""
        return "it is no affine map of the activations of a block"

    @property
    def own_pass(self) -> bool:
        """Whether the edit runs the model itself, so that it cannot share a batch with others."""
        return False

    def in_weights(self, block: Block) -> BlockMap:
        """Change of a block's activations as an affine map, to go into weights, unless ``unfoldable``."""
        raise NotImplementedError(f"{type(self).__name__} is no affine map")

    @contextmanager
    def running(self, model: nn.Module, layout: NeuronLayout) -> Iterator["Edit"]:
        """Edit to use while it is applied to a model: itself, unless it has to read the model too.

        Parameters
        ----------
        model : nn.Module
            The model that ``layout`` was resolved in.
        layout : NeuronLayout
            Layout of the neurons.
        """
        yield self

    def on_recorded(self, activations: Tensor, tokens: Tokens) -> "Edit":
        """Edit to use on recorded activations of the untouched model: itself, unless it has to read them all.

        Parameters
        ----------
        activations : Tensor of shape (T, N)
            Activations of all neurons.
        tokens : Tokens
            Their tokens.
        """
        return self

    @abstractmethod
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        """Changed activations of a block; those given are not written to.

        Parameters
        ----------
        block : Block
            The block.
        activations : Tensor of shape (…, width)
            Its activations, batch × tokens × width or (batch · tokens) × width.
        tokens : Tokens or None
            Tokens of the activations; may be None unless the edit is ``by_position``.
        """

    def require_layout(self, layout: NeuronLayout) -> None:
        """Check that the edit is of the neurons of a layout.

        Raises
        ------
        LayoutError
            If it is of another number of neurons.
        """
        require_shape("edit", self.touched, layout)

    def _placed(self, key: tuple[object, ...], make: Callable[[], Tensor], like: Tensor) -> Tensor:
        """Tensor on the device of ``like``, and in its format if it is no index, kept while applied.

        Parameters
        ----------
        key : tuple
            Names the tensor among those of this edit, such as its name and the block's path.
        make : callable
            Makes it, on the CPU.
        like : Tensor
            Activations.
        """
        kept = _placed_tensors.get(self, {})
        full = (*key, like.device, like.dtype)
        if full not in kept:
            # a tensor created in inference mode could not be used in a later backward pass
            with torch.inference_mode(False):
                made = make()
                kept[full] = made.to(like.device, like.dtype if made.is_floating_point() else made.dtype)
        return kept[full]


# tensors on devices, of the edits that are applied at the moment
_placed_tensors: WeakKeyDictionary[Edit, dict[tuple[object, ...], Tensor]] = WeakKeyDictionary()


def require_shape(name: str, vector: Tensor, layout: NeuronLayout) -> None:
    """Require one entry for each neuron of a layout.

    Raises
    ------
    LayoutError
        If the shape is another one.
    """
    if vector.shape != (layout.n_neurons,):
        raise LayoutError(
            f"{name} has shape {tuple(vector.shape)}, the layout has {layout.n_neurons} neurons"
        )


@dataclass(frozen=True, eq=False)
class AffineEdit(Edit):
    """Affine change of the activation x of every neuron: scale · x + shift.

    Attributes
    ----------
    scale, shift : Tensor of shape (N,), float32
        Factor and constant per neuron, in the order of the layout; 1 and 0 change nothing.
    first_scale, first_shift : Tensor of shape (N,), float32, or None
        The same at first tokens of texts; None for the same as at all others.
    """

    scale: Tensor
    shift: Tensor
    first_scale: Tensor | None = None
    first_shift: Tensor | None = None

    @property
    @override
    def touched(self) -> Tensor:
        others = (self.scale != 1) | (self.shift != 0)
        return others | (self.at_first[0] != 1) | (self.at_first[1] != 0)

    @property
    @override
    def by_position(self) -> bool:
        scale, shift = self.at_first
        return not (torch.equal(scale, self.scale) and torch.equal(shift, self.shift))

    @property
    @override
    def unfoldable(self) -> str | None:
        if not self.by_position:
            return None
        return (
            "it does not change first tokens as it does the others, and weights are the same for all tokens"
        )

    @property
    @override
    def digest(self) -> str:
        vectors = [self.scale, self.shift, *(self.at_first if self.by_position else ())]
        stacked = torch.stack(vectors).float() + 0.0  # -0.0 is equal to 0.0
        return hashlib.sha256(stacked.numpy().tobytes()).hexdigest()

    @override
    def require_layout(self, layout: NeuronLayout) -> None:
        for name in ("scale", "shift", "first_scale", "first_shift"):
            vector = getattr(self, name)
            if vector is not None:
                require_shape(name, vector, layout)

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        changed = self._affine("", self.scale, self.shift, block, activations)
        if not self._differs_in(block):
            return changed
        first = self._affine("first ", *self.at_first, block, activations)
        return torch.where(require_tokens(tokens).first[..., None], first, changed)

    @override
    def in_weights(self, block: Block) -> BlockMap:
        return Scaling(self.shift[block.columns], self.scale[block.columns])

    @property
    def at_first(self) -> tuple[Tensor, Tensor]:
        """Factor and constant of every neuron at first tokens."""
        scale, shift = self.first_scale, self.first_shift
        return (self.scale if scale is None else scale, self.shift if shift is None else shift)

    def energy(self, first: Sums, others: Sums) -> Tensor:
        """Sum over tokens of the squared change of every neuron, float64 of shape (N,).

        Parameters
        ----------
        first, others : tuple of number, Tensor and Tensor of shape (N,), float64
            Number of tokens, sum of the activations, and sum of their squares, of first tokens and of others.
        """
        scale, shift = self.at_first
        of_first = _squared_change(scale, shift, *first)
        return (of_first + _squared_change(self.scale, self.shift, *others)).clamp_min(0)

    def _differs_in(self, block: Block) -> bool:
        if self.first_scale is None and self.first_shift is None:
            return False
        pairs = zip(self.at_first, (self.scale, self.shift), strict=True)
        return any(not torch.equal(one[block.columns], other[block.columns]) for one, other in pairs)

    def _affine(self, name: str, scale: Tensor, shift: Tensor, block: Block, activations: Tensor) -> Tensor:
        factors, constants = scale[block.columns], shift[block.columns]
        changed = activations
        if (factors != 1).any():
            changed = changed * self._placed((f"{name}scale", block.path), lambda: factors, activations)
        if constants.any():
            changed = changed + self._placed((f"{name}shift", block.path), lambda: constants, activations)
        return changed


def _squared_change(scale: Tensor, shift: Tensor, count: float, total: Tensor, squares: Tensor) -> Tensor:
    slope, constant = scale.double() - 1, shift.double()
    return slope.square() * squares + 2 * slope * constant * total + count * constant.square()


def no_edit(n_neurons: int) -> AffineEdit:
    """Edit that changes nothing."""
    return AffineEdit(torch.ones(n_neurons), torch.zeros(n_neurons))


@contextmanager
def applied(model: nn.Module, layout: NeuronLayout, edit: Edit) -> Iterator[nn.Module]:
    """Edit the neurons of a running model while the context is open; weights are not touched.

    Only blocks with a changed neuron are hooked. What an edit needs moves to a block's device at the first
    pass and stays there. The positions of tokens are followed only for an edit that depends on them. Only the
    hooks set here are removed, also after an exception.

    Parameters
    ----------
    model : nn.Module
        The model that ``layout`` was resolved in.
    layout : NeuronLayout
        Layout of the neurons.
    edit : Edit
        Change of the neurons' activations.

    Yields
    ------
    nn.Module
        The same model.

    Raises
    ------
    LayoutError
        If the edit and the layout differ in their number of neurons.
    """
    edit.require_layout(layout)
    touched = edit.touched
    changed = tuple(block for block in layout.blocks if touched[block.columns].any())
    edited = replace(layout, blocks=changed)
    with ExitStack() as contexts:
        contexts.enter_context(marked_as_edited(model))
        contexts.enter_context(tensors_kept(edit))
        running = contexts.enter_context(running_tokens(model, layout)) if edit.by_position else None
        active = contexts.enter_context(edit.running(model, layout)) if changed else edit

        def change(block: Block, activations: Tensor) -> Tensor:
            tokens = None if running is None else running.of(activations)
            return active.change(block, activations, tokens)

        contexts.enter_context(visited(model, edited, change))
        yield model


@contextmanager
def tensors_kept(edit: Edit) -> Iterator[None]:
    """Keep the edit's tensors on devices while the outermost context of this edit is open."""
    if edit in _placed_tensors:
        yield
        return
    _placed_tensors[edit] = {}
    try:
        yield
    finally:
        del _placed_tensors[edit]
