"""Noise: a random direction at every token that an intervention changes, as long as its change."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from typing_extensions import override

from fbn_exp.core.errors import ControlError
from fbn_exp.core.layout import Block, NeuronLayout
from fbn_exp.interventions.controls.control import Control, Drawer, Original
from fbn_exp.interventions.edit import Edit, tensors_kept
from fbn_exp.models.positions import Tokens, require_tokens

if TYPE_CHECKING:
    from fbn_exp.interventions.rules import Intervention

# directions are drawn for so many positions, and repeat beyond
POSITIONS = 64


@dataclass(frozen=True, eq=False)
class NoiseEdit(Edit):
    """Add to each block's activations a random direction as long as the change that another edit makes there.

    At every token and in every block x becomes x + ‖edit.change(x) − x‖ · u. The unit vector u is drawn
    uniformly over the neurons of the block that may be changed. It depends on the position in the text and on
    the block alone, so that the same text gets the same noise in any batch, and with a cache.

    Attributes
    ----------
    edit : Edit
        Edit whose change gives the norm.
    layout : NeuronLayout
        Blocks of the neurons.
    allowed : Tensor of shape (N,), bool
        Neurons that may be changed.
    seed : int
        Seed of the directions.
    """

    edit: Edit
    layout: NeuronLayout
    allowed: Tensor
    seed: int
    _directions: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    @property
    @override
    def touched(self) -> Tensor:
        touched = torch.zeros_like(self.allowed)
        changed = self.edit.touched
        for block in self.layout.blocks:
            if changed[block.columns].any():
                touched[block.columns] = self.allowed[block.columns]
        return touched

    @property
    @override
    def by_position(self) -> bool:
        return bool(self.touched.any())

    @property
    @override
    def own_pass(self) -> bool:
        return self.edit.own_pass

    @property
    @override
    def digest(self) -> str:
        digest = hashlib.sha256(f"noise {self.seed} {self.edit.digest}".encode())
        digest.update(self.allowed.numpy().tobytes())
        return digest.hexdigest()

    @override
    def require_layout(self, layout: NeuronLayout) -> None:
        super().require_layout(layout)
        self.edit.require_layout(layout)

    @override
    @contextmanager
    def running(self, model: nn.Module, layout: NeuronLayout) -> Iterator[Edit]:
        with tensors_kept(self.edit), self.edit.running(model, layout) as active:
            noise = self if active is self.edit else replace(self, edit=active)
            with tensors_kept(noise):
                yield noise

    @override
    def on_recorded(self, activations: Tensor, tokens: Tokens) -> Edit:
        return replace(self, edit=self.edit.on_recorded(activations, tokens))

    @override
    def change(self, block: Block, activations: Tensor, tokens: Tokens | None) -> Tensor:
        tokens = require_tokens(tokens)
        exact = activations.to(torch.promote_types(activations.dtype, torch.float32))
        changed = self.edit.change(block, activations, tokens).to(exact.dtype)
        norm = torch.linalg.vector_norm(changed - exact, dim=-1, keepdim=True)
        directions = self._placed(("directions", block.path), lambda: self.directions(block), exact)
        noise = norm * directions[tokens.position.clamp_min(0) % POSITIONS]
        return (exact + noise).to(activations.dtype)

    def directions(self, block: Block) -> Tensor:
        """Unit vectors of a block, one for each position, float64 of shape (POSITIONS, width)."""
        if block.path not in self._directions:
            digest = hashlib.sha256(f"{self.seed} {block.path}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
            drawn = torch.randn(POSITIONS, block.width, generator=generator, dtype=torch.float64)
            drawn = drawn * self.allowed[block.columns]
            self._directions[block.path] = drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
        return self._directions[block.path]


@dataclass(frozen=True, eq=False)
class NoiseControl(Control):
    """Noise in place of an intervention, at the same tokens and in the same blocks.

    Attributes
    ----------
    allowed : Tensor of shape (N,), bool
        Neurons that may be changed.
    seed : int
        Seed of the directions.
    """

    allowed: Tensor = field(kw_only=True)
    seed: int = field(kw_only=True)

    @override
    def edit(self, intervention: "Intervention") -> Edit:
        edit = intervention.edit(self.target)
        return NoiseEdit(edit, self.target.layout, self.allowed, self.seed)


class Noise(Drawer):
    """Noise of the norm of the intervention's own change."""

    def __init__(self, original: Original) -> None:
        super().__init__(original)
        for block in original.target.layout.blocks:
            if not original.allowed[block.columns].any():
                raise ControlError(f"no neuron of {block.path} may be changed: all of them are keystones")

    @override
    def draw(self, generator: torch.Generator) -> Control:
        seed = int(torch.randint(2**62, (1,), generator=generator))
        energy = self.original.energy
        return NoiseControl(
            self.original.target,
            same_block=1.0,
            activity_ratio=1.0,
            energy_ratio=None if energy is None else 1.0,
            allowed=self.original.allowed,
            seed=seed,
        )
