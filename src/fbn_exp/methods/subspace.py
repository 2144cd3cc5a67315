"""The leading principal subspace of large signals, without an N × N matrix or a full decomposition."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

import torch
from torch import Tensor

from fbn_exp.core.errors import MethodError
from fbn_exp.core.memmap import copied_rows, times, transposed_times
from fbn_exp.core.moments import Moments, moments, neuron_statistics, row_chunks

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
EXACT_BELOW = 512
# relative to the Frobenius norm of the signals, their mean included: below is float32 rounding error
RANK_TOLERANCE = 1e-6
# norm of a block's new directions relative to the block: below is float32 rounding error
NEW_DIRECTION = 1e-6
# squared sine of the largest angle to the limit of the subspace, estimated: below, the subspace is found
CONVERGED = 1e-5
SLOWEST_RATE = 0.5


@dataclass(frozen=True, eq=False)
class Subspace:
    """A truncated singular value decomposition of centred signals: X − mean ≈ scores · diag(s) · loadings.

    Tensors are on the device of the signals. Without centring, ``mean`` is 0.

    Attributes
    ----------
    scores : Tensor of shape (T, k), float64
        Left singular vectors.
    singular_values : Tensor of shape (k,), float64
        In decreasing order.
    loadings : Tensor of shape (k, N), float32
        Right singular vectors.
    total_energy : float
        Squared Frobenius norm of the centred signals.
    rank : int
        Number of singular values above the rounding error of float32, among those that were computed:
        at least k if the rank is k or more.
    """

    scores: Tensor
    singular_values: Tensor
    loadings: Tensor
    total_energy: float
    rank: int

    def leading(self, n_components: int) -> "Subspace":
        """Keep the leading dimensions only, as copies."""
        return replace(
            self,
            scores=self.scores[:, :n_components].clone(),
            singular_values=self.singular_values[:n_components].clone(),
            loadings=self.loadings[:n_components].clone(),
        )

    def whitened(self) -> Tensor:
        """Scores with unit variance over tokens, shape (T, k)."""
        return self.scores * self.scores.shape[0] ** 0.5

    def mixing(self, rotation: Tensor) -> Tensor:
        """Mixing matrix (k, k) of the sources ``whitened @ rotation.T``: maps are ``mixing @ loadings``."""
        return rotation.to(self.singular_values.device) * self.singular_values / self.scores.shape[0] ** 0.5


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


def leading_subspace(
    signals: Tensor, n_components: int, generator: torch.Generator, centre: bool = True
) -> Subspace:
    """Compute the leading ``n_components`` singular vectors of the centred signals.

    Small problems are solved exactly, in float64. Larger ones are solved by a randomised block Krylov method
    (Musco & Musco 2015, algorithm 2, on the side of the neurons): all power blocks are kept, which
    approximates the subspace, not only its variance. The space is wider than the subspace, a single block
    need not be (Meyer, Musco & Musco 2024, On the unreasonable effectiveness of single vector Krylov methods
    for low-rank approximation). The first block comes from a sample of the tokens. Blocks are orthonormalised
    against all earlier ones, so that every product with the signals is used twice, for the next block and for
    the projected matrix. Blocks are added until the angles between the subspaces of the last three tell that
    the next would change nothing. The products are centred, not the signals, which are neither copied nor
    changed.

    Parameters
    ----------
    signals : Tensor of shape (T, N), float32
        In memory, on an accelerator, or mapped from a file. Every product is one pass over them.
    n_components : int
        Dimension k of the subspace.
    generator : torch.Generator
        Source of the random start.
    centre : bool
        Subtract the mean over tokens; False for rows that are not samples of one distribution.

    Returns
    -------
    Subspace
        Exact, or with small principal angles to the exact subspace.

    Raises
    ------
    MethodError
        If a value is not finite, or all are too large or too small for float32.
    """
    statistics = moments(signals)
    if not math.isfinite(statistics.energy):
        refuse_not_finite(signals)
    mean = statistics.mean if centre else torch.zeros_like(statistics.mean)
    space = KrylovSpace.of(n_components)
    if min(signals.shape) <= max(EXACT_BELOW, space.width):
        values, scores, loadings = _exact(signals, mean.to(signals.device), n_components)
    else:
        offset = mean.float().to(signals.device)
        basis, projected = _krylov(signals, offset, n_components, generator, centre)
        values, scores, loadings = _from_projection(basis, projected, n_components)
    return _subspace(values, scores, loadings, statistics, n_components, centre)


def refuse_not_finite(signals: Tensor) -> NoReturn:
    """Raise a MethodError that names the first neuron whose energy is not finite."""
    spread = neuron_statistics(signals).standard_deviation
    suspects = (~torch.isfinite(spread)).nonzero()[:, 0].tolist()
    bad = next((neuron for neuron in suspects if not signals[:, neuron].isfinite().all()), None)
    if bad is None:
        raise MethodError("signals are too large: their squares overflow float32, scale them down")
    raise MethodError(f"signals hold a value that is not finite, in the column of neuron {bad}")


def _krylov(
    signals: Tensor, mean: Tensor, n_components: int, generator: torch.Generator, centre: bool
) -> tuple[Tensor, Tensor]:
    """Orthonormal basis V (N, b) of the block Krylov space, float32, and (X − mean) V (T, b), float64."""
    space = KrylovSpace.of(n_components)
    basis = fresh = _orthonormal(_start(signals, mean, space.block, generator, centre))
    projected = _times(signals, fresh, centre)
    convergence = _Convergence(n_components)
    for step in range(space.steps):
        # the first steps of many do not converge
        if step >= space.steps // 3 - 1:
            convergence.add(projected)
        if convergence.reached:
            break
        left = torch.linalg.qr(projected[:, -fresh.shape[1] :]).Q
        fresh = _new_directions(_transposed_times(signals, mean, left), basis)
        if fresh.shape[1] == 0:
            break
        basis = torch.cat([basis, fresh], dim=1)
        projected = torch.cat([projected, _times(signals, fresh, centre)], dim=1)
    return basis, projected


class _Convergence:
    """Angles between the leading subspaces of growing Krylov spaces."""

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components
        self._leading: Tensor | None = None
        self._changes: list[float] = []

    def add(self, projected: Tensor) -> None:
        """Add a Krylov space by its projection (T, b); its first columns are those of the last one."""
        if projected.shape[1] < self.n_components:
            return
        _, leading = _descending(projected.T @ projected, self.n_components)
        if self._leading is not None:
            cosine = torch.linalg.svdvals(self._leading.T @ leading[: len(self._leading)])[-1]
            self._changes.append(max(0.0, 1 - float(cosine) ** 2))
        self._leading = leading

    @property
    def reached(self) -> bool:
        """True if all further blocks together would turn the subspace by less than ``CONVERGED``.

        Errors of a Krylov space fall at least geometrically.
        """
        if len(self._changes) < 2:
            return False
        before, last = self._changes[-2:]
        rate = last / max(before, 1e-300)
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


def _from_projection(basis: Tensor, projected: Tensor, n_components: int) -> tuple[Tensor, Tensor, Tensor]:
    """All singular values, leading left (T, k) and right (k, N) singular vectors of projected @ basis.T."""
    values, vectors = _descending(projected.T @ projected, n_components)
    # orthonormal, and the leading values exact, however far they lie apart
    tall, small = torch.linalg.qr(projected @ vectors)
    left, leading, right = torch.linalg.svd(small)
    values[:n_components] = leading
    return values, tall @ left, (basis @ (vectors @ right.T).float()).T.contiguous()


def _exact(signals: Tensor, mean: Tensor, n_components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Same as ``_from_projection`` for the centred signals, from the Gram matrix of their shorter side."""
    means = mean.expand_as(signals)
    wide = signals.shape[0] <= signals.shape[1]
    tall, offset = (signals.T, means.T) if wide else (signals, means)
    values, short = _descending(_gram(_centred(tall, offset)), n_components)
    long = torch.cat([chunk @ short for chunk in _centred(tall, offset)])
    long /= values[:n_components].clamp_min(1e-300)
    left, right = (short, long) if wide else (long, short)
    return values, left, right.T.float()


def _centred(tall: Tensor, offset: Tensor) -> Iterator[Tensor]:
    for values, means in zip(row_chunks(tall), row_chunks(offset), strict=True):
        yield values.double() - means


def _gram(chunks: Iterable[Tensor]) -> Tensor:
    products = (chunk.T @ chunk for chunk in chunks)
    total = next(products)
    for product in products:
        total += product
    return total


def _descending(gram: Tensor, n_components: int) -> tuple[Tensor, Tensor]:
    """Square roots of all eigenvalues, in decreasing order, and the leading eigenvectors as columns."""
    values, vectors = torch.linalg.eigh(gram)
    return values.flip(0).clamp_min(0).sqrt(), vectors.flip(1)[:, :n_components]


def _subspace(
    values: Tensor,
    scores: Tensor,
    loadings: Tensor,
    statistics: Moments,
    n_components: int,
    centre: bool,
) -> Subspace:
    raw_energy = statistics.energy + scores.shape[0] * float(statistics.mean.square().sum())
    if values.any() and raw_energy < scores.shape[0] * loadings.shape[1] * torch.finfo(torch.float32).tiny:
        raise MethodError("signals are too small: their squares vanish in float32, scale them up")
    rank = int((values > RANK_TOLERANCE * raw_energy**0.5).sum())
    energy = statistics.energy if centre else raw_energy
    return Subspace(scores, values[:n_components], loadings, energy, rank)
