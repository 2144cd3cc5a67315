"""Training of a TopK autoencoder on values of moderate width."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from fbn_exp.methods.config import SAEConfig

# last part of the steps, in which the learning rate falls to 0
DECAY = 0.2
TINY = 1e-300
# energy that tokens already drawn leave, as a share, below which it is rounding error
EXHAUSTED = 1e-12
# noise on the start, which tells latents of equal tokens apart
NOISE = 1e-3


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """A TopK autoencoder: x ≈ offset + decoder · largest ``active`` of relu(encoder · (x − offset) + bias).

    Attributes
    ----------
    encoder, decoder : Tensor of shape (K, R), float64
        Row k reads and writes latent k; rows of the decoder have norm 1.
    bias : Tensor of shape (K,), float64
        Bias of the latents.
    offset : Tensor of shape (R,), float64
        Subtracted before the encoder, added after the decoder.
    scale : float
        Root mean square norm of the values that it was trained on, which stand for x times it.
    active : int
        Largest number of latents that are not 0 at a token.
    """

    encoder: Tensor
    decoder: Tensor
    bias: Tensor
    offset: Tensor
    scale: float
    active: int

    def latents(self, values: Tensor) -> Tensor:
        """Activations of the latents, shape (T, K), none negative, in units of the values (T, R)."""
        scaled = values / self.scale
        return self.scale * largest(self.before(scaled), self.active)

    def before(self, scaled: Tensor) -> Tensor:
        """Latents before relu and selection, of values divided by ``scale``."""
        return (scaled - self.offset) @ self.encoder.T + self.bias

    def parameters(self) -> list[Tensor]:
        """All tensors that are trained."""
        return [self.encoder, self.decoder, self.bias, self.offset]


def largest(before: Tensor, count: int) -> Tensor:
    """Keep the ``count`` largest positive entries of every row, and set the others to 0."""
    top = before.relu().topk(min(count, before.shape[1]), dim=1)
    return torch.zeros_like(before).scatter(1, top.indices, top.values)


def train(values: Tensor, config: SAEConfig, generator: torch.Generator) -> Autoencoder:
    """Train an autoencoder by Adam on the squared error, with an auxiliary loss for dead latents.

    As in Gao et al. 2024 the encoder starts as the transpose of the decoder, whose rows keep norm 1. A latent
    is dead that has not been active for as many tokens as there are; dead ones are trained to describe what
    the others leave (AuxK). The decoder starts from tokens, so that no latent starts far from all of them.

    Parameters
    ----------
    values : Tensor of shape (T, R), float64
        Rows of zero mean.
    config : SAEConfig
        Number of latents, and how to train.
    generator : torch.Generator
        Source of the start, and of the order of tokens.
    """
    scale = float(values.square().sum(dim=1).mean().sqrt())
    scaled = values / scale
    made = _start(scaled, scale, config, generator)
    parameters = made.parameters()
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.Adam(parameters, lr=config.learning_rate)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (config.steps - step) / (DECAY * config.steps))
    )
    silent = torch.zeros(len(made.decoder), device=values.device)
    batches = _batches(len(values), config.batch_size, generator)
    with torch.enable_grad():
        for _ in tqdm(range(config.steps), desc="autoencoder", unit=" step", leave=False):
            chosen = next(batches).to(values.device)
            loss = _loss(made, scaled[chosen], silent, len(values), config.auxiliary)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            with torch.no_grad():
                made.decoder.div_(torch.linalg.vector_norm(made.decoder, dim=1, keepdim=True) + TINY)
    for parameter in parameters:
        parameter.requires_grad_(False)
    return made


def _batches(n_tokens: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield indices of tokens without end, all of them in random order before any comes again."""
    while True:
        yield from torch.randperm(n_tokens, generator=generator).split(size)


def _start(scaled: Tensor, scale: float, config: SAEConfig, generator: torch.Generator) -> Autoencoder:
    """Autoencoder whose latents read and write the directions of tokens that differ from each other.

    Tokens are drawn with probabilities in proportion to the energy that earlier ones leave of them (adaptive
    sampling: Deshpande, Rademacher, Vempala & Wang 2006), so that no two latents start alike.
    """
    left, rows = scaled.clone(), []
    energy = scaled.square().sum(dim=1)
    for _ in range(config.count):
        weights = left.square().sum(dim=1)
        # more latents than dimensions: draw again as at the start
        if float(weights.sum()) <= EXHAUSTED * float(energy.sum()):
            left, weights = scaled.clone(), energy
        chosen = int(torch.multinomial(weights.cpu(), 1, generator=generator))
        rows.append(scaled[chosen])
        direction = left[chosen] / torch.linalg.vector_norm(left[chosen])
        left -= torch.outer(left @ direction, direction)
    noise = torch.randn(config.count, scaled.shape[1], generator=generator, dtype=torch.float64)
    decoder = torch.stack(rows) + NOISE * noise.to(scaled.device)
    decoder /= torch.linalg.vector_norm(decoder, dim=1, keepdim=True)
    bias, offset = torch.zeros_like(decoder[:, 0]), torch.zeros_like(decoder[0])
    return Autoencoder(decoder.clone(), decoder, bias, offset, scale, config.most_active)


def _loss(made: Autoencoder, x: Tensor, silent: Tensor, n_tokens: int, auxiliary: float) -> Tensor:
    """Mean squared error of a batch, and of dead latents on what is left; counts the silence of each."""
    before = made.before(x)
    latents = largest(before, made.active)
    left = x - made.offset - latents @ made.decoder
    loss = left.square().sum(dim=1).mean()
    silent += len(x)
    silent[(latents > 0).any(dim=0)] = 0
    dead = silent >= n_tokens
    if auxiliary == 0 or not dead.any():
        return loss
    described = largest(before[:, dead], made.active) @ made.decoder[dead]
    return loss + auxiliary * (left.detach() - described).square().sum(dim=1).mean()
