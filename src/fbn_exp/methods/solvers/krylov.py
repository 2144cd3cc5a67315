"""A randomised block Krylov method for the leading principal subspace of large signals."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from fbn_exp.core.memmap import copied_rows, times, transposed_times
from fbn_exp.core.moments import row_chunks

# blocks narrower than the subspace with more steps are more accurate at the same cost (Meyer et al. 2024)
BLOCK_SHARE = 0.5
OVERSAMPLING = 16
# blocks are rounded up to such a width: a product with 32 columns is faster than one with 21
BLOCK_MULTIPLE = 16
# the first block is computed from a sample of tokens: this costs little, and saves a step with all tokens
SAMPLE_SHARE = 8
SAMPLE_VALUES = 2**25
SAMPLE_STEPS = 2
REST = 0.01
# norm of a block's new directions relative to the block: below is float32 rounding error
NEW_DIRECTION = 1e-6
# squared sine of the largest angle between scores and their limit, estimated: below, the subspace is found.
# Its cosine is .999; only directions that nearly tie with those beyond the subspace are that far away
CONVERGED = 2e-3
SLOWEST_RATE = 0.5


@dataclass(frozen=True)
class KrylovSpace:
    """Size of the block Krylov space that approximates the subspace.

    Attributes
    ----------
    block : int
        Number of columns of a block.
    steps : int
        Largest number of power blocks after the first, which takes one product with the signals; every other
        block takes two.
    """

    block: int
    steps: int

    @classmethod
    def of(cls, n_components: int) -> "KrylovSpace":
        """Choose the size; blocks that are far wider than the subspace need fewer powers."""
        needed = BLOCK_SHARE * n_components + OVERSAMPLING
        block = BLOCK_MULTIPLE * math.ceil(needed / BLOCK_MULTIPLE)
        # where the spectrum is flat, as of z-scored signals, fewer steps leave a subspace that depends on the
        # seed: two steps fewer, a smallest cosine of .58 between two seeds for k = 64 and 1,800 tokens
        return cls(block, steps=3 if block >= 2 * n_components else 6)

    @property
    def width(self) -> int:
        """Number of columns of all blocks."""
        return self.block * (self.steps + 1)


def krylov_subspace(
    signals: Tensor, mean: Tensor, n_components: int, generator: torch.Generator, centre: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the leading singular vectors of centred signals in a block Krylov space.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        Every product with them is one pass.
    mean : Tensor of shape (N,), float32
        Mean over tokens, which is subtracted.
    n_components : int
        Number k of singular vectors.
    generator : torch.Generator
        Source of the random start.
    centre : bool
        True if the mean is that of the signals; False if it is 0.

    Returns
    -------
    values : Tensor of shape (w,), float64
        All singular values in the Krylov space, in decreasing order.
    scores : Tensor of shape (T, k), float64
        Leading left singular vectors.
    loadings : Tensor of shape (k, N), float32
        Leading right singular vectors.
    """
    size = KrylovSpace.of(n_components)
    fresh = _orthonormal(_start(signals, mean, size.block, generator, centre))
    space = _Space(fresh, _times(signals, fresh, centre))
    convergence = _Convergence(n_components)
    for step in range(size.steps):
        # the first steps of many do not converge
        if step >= size.steps // 3 - 1:
            convergence.add(*space.leading(n_components))
        if convergence.reached:
            break
        left = torch.linalg.qr(space.projected[:, -fresh.shape[1] :]).Q
        fresh = _new_directions(_transposed_times(signals, mean, left), space.basis)
        if fresh.shape[1] == 0:
            break
        space.grow(fresh, _times(signals, fresh, centre))
    return space.singular_vectors(n_components)


class _Space:
    """A space of maps that grows block by block.

    Attributes
    ----------
    basis : Tensor of shape (N, w), float32
        Orthonormal columns.
    projected : Tensor of shape (T, w), float64
        Centred signals times the basis.
    gram : Tensor of shape (w, w), float64
        ``projected.T @ projected``.
    """

    def __init__(self, basis: Tensor, projected: Tensor) -> None:
        self.basis = basis
        self.projected = projected
        self.gram = projected.T @ projected

    def grow(self, fresh: Tensor, projected: Tensor) -> None:
        """Add orthonormal columns outside the space (N, b), and their products with the signals (T, b)."""
        across = self.projected.T @ projected
        right = torch.cat([across, projected.T @ projected])
        self.gram = torch.cat([torch.cat([self.gram, across.T]), right], dim=1)
        self.basis = torch.cat([self.basis, fresh], dim=1)
        self.projected = torch.cat([self.projected, projected], dim=1)

    def leading(self, n_components: int) -> tuple[Tensor, Tensor]:
        """Leading singular values, and right singular vectors in the basis as columns; fewer if w < k."""
        values, vectors = descending(self.gram, n_components)
        return values[:n_components], vectors

    def singular_vectors(self, n_components: int) -> tuple[Tensor, Tensor, Tensor]:
        """All singular values, leading left (T, k) and right (k, N) vectors of projected · basisᵀ."""
        values, vectors = descending(self.gram, n_components)
        # orthonormal, and the leading values exact, however far they lie apart
        tall, small = torch.linalg.qr(self.projected @ vectors)
        left, leading, right = torch.linalg.svd(small)
        values[:n_components] = leading
        return values, tall @ left, (self.basis @ (vectors @ right.T).float()).T.contiguous()


class _Convergence:
    """Angles between the leading left subspaces of growing Krylov spaces."""

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components
        self._last: tuple[Tensor, Tensor] | None = None
        self._changes: list[float] = []

    def add(self, values: Tensor, vectors: Tensor) -> None:
        """Add the leading singular values and right vectors of a space that holds the last one."""
        if len(values) < self.n_components:
            return
        if self._last is not None:
            before, directions = self._last
            # products of the left singular vectors P v / s of both: the Gram matrix PᵀP turns v into s² v
            cosines = (directions.T @ vectors[: len(directions)]) * values / before.clamp_min(1e-300)[:, None]
            cosine = min(1.0, float(torch.linalg.svdvals(cosines)[-1]))
            self._changes.append(1 - cosine**2)
        self._last = values, vectors

    @property
    def reached(self) -> bool:
        """True if all further blocks together would turn the subspace by less than ``CONVERGED``.

        Errors of a Krylov space fall at least geometrically, and the rate at which they fall falls as well.
        """
        if len(self._changes) < 2:
            return False
        changes = [max(change, 1e-300) for change in self._changes[-3:]]
        rates = [after / before for before, after in pairwise(changes)]
        rate = rates[-1] * min(1.0, rates[-1] / rates[0])
        last = self._changes[-1]
        return last < CONVERGED**2 or (rate < SLOWEST_RATE and last * rate / (1 - rate) < CONVERGED)


def _start(signals: Tensor, mean: Tensor, block: int, generator: torch.Generator, centre: bool) -> Tensor:
    """First block (N, b): power iterations on a random sample of the tokens, plus a little Gaussian noise.

    Without the noise the block could be orthogonal to directions that only occur in tokens outside the
    sample, which would then never be found.
    """
    n_tokens, n_neurons = signals.shape
    most = max(2 * block, SAMPLE_VALUES // n_neurons)
    # at least as many tokens as the block has columns, or the block would be narrower
    n_sampled = max(block, min(n_tokens // SAMPLE_SHARE, most))
    chosen = torch.randperm(n_tokens, generator=generator)[:n_sampled]
    sample = copied_rows(signals, chosen.sort().values)
    left = torch.randn(len(sample), block, generator=generator).to(signals.device)
    direction = _orthonormal(_transposed_times(sample, mean, left))
    for _ in range(SAMPLE_STEPS):
        left = torch.linalg.qr(_times(sample, direction, centre)).Q
        direction = _orthonormal(_transposed_times(sample, mean, left))
    start = torch.randn(n_neurons, block, generator=generator).to(signals.device) * (REST / n_neurons**0.5)
    # fewer than a block, if the sample has a lower rank
    start[:, : direction.shape[1]] += direction
    # no later block has a part of these, so that none would take the noise away again
    start[_silent(signals, sample)] = 0
    return start


def _silent(signals: Tensor, sample: Tensor) -> Tensor:
    """True at neurons that are constant, shape (N,); one pass over the signals if the sample has any."""
    silent = (sample == sample[0]).all(dim=0)
    if silent.any():
        for chunk in row_chunks(signals):
            silent &= (chunk == sample[0]).all(dim=0)
    return silent


def _new_directions(columns: Tensor, basis: Tensor) -> Tensor:
    """Orthonormal basis of the part of the columns outside the span of a basis, float32; may be empty.

    If the signals have lower rank than the block, a plain QR would complete it with arbitrary columns, which
    overlap with the basis and count its energy twice. Eigenvectors of the Gram matrix in float64, taken
    twice, are as accurate, and faster for many neurons (Stathopoulos & Wu 2002).
    """
    least = NEW_DIRECTION * torch.linalg.matrix_norm(columns.double())
    for _ in range(2):  # a single pass leaves rounding error in the dominant directions
        columns = columns - basis @ (basis.T @ columns)
        exact = columns.double()
        energy, vectors = torch.linalg.eigh(exact.T @ exact)
        kept = energy > least**2
        columns = (exact @ (vectors[:, kept] / energy[kept].sqrt())).float()
        least = torch.zeros_like(least)
    return columns


def _orthonormal(columns: Tensor) -> Tensor:
    """Orthonormal basis of the span of some columns."""
    return _new_directions(columns, columns.new_zeros(len(columns), 0))


def _times(signals: Tensor, right: Tensor, centre: bool) -> Tensor:
    product = times(signals, right).double()
    if not centre:
        return product
    # also removes rounding error that is common to all rows, where the mean is large
    return product - product.mean(dim=0)


def _transposed_times(signals: Tensor, mean: Tensor, right: Tensor) -> Tensor:
    # columns of right sum to zero only up to their rounding to float32
    narrow = right.float()
    return transposed_times(signals, narrow) - torch.outer(mean, narrow.sum(dim=0))


def descending(gram: Tensor, n_components: int) -> tuple[Tensor, Tensor]:
    """Square roots of all eigenvalues, in decreasing order, and the leading eigenvectors as columns."""
    values, vectors = torch.linalg.eigh(gram)
    return values.flip(0).clamp_min(0).sqrt(), vectors.flip(1)[:, :n_components]
