"""Cross-entropy as a function of the temperature, kept small enough to refit one temperature afterwards."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import BPoly
from scipy.optimize import minimize_scalar
from torch import Tensor

from fbn_exp.core.rows import Array

# inverse temperatures at which the loss and two derivatives are kept: 0 (all tokens equally likely), and two
# interleaved rows of powers of 2, since the exponentials at one are the squares of those at half of it
LOWEST = 2.0**-6
DOUBLINGS = 8
_STARTS = (LOWEST, LOWEST * math.sqrt(2))
INVERSE_TEMPERATURES = np.array(
    [0.0, *sorted(start * 2**power for start in _STARTS for power in range(DOUBLINGS)), LOWEST * 2**DOUBLINGS]
)
# logits further below the largest one than this have no weight at any of them, also where they are -inf
DEEPEST = 1e4
# points between two neighbours at which the loss is looked up before its minimum is refined
POINTS = 16


@dataclass(frozen=True, eq=False)
class Exponentials:
    """Sums over the vocabulary that tell the loss of tokens at any temperature.

    Attributes
    ----------
    below : Tensor of shape (T, V), float32
        Logits less the largest one of their token, at least ``-DEEPEST``.
    sums : Tensor of shape (T, 18, 3), float64
        Sums of exp(b z), z exp(b z) and z² exp(b z), z being ``below``, at ``INVERSE_TEMPERATURES``.
    normaliser : Tensor of shape (T,), float64
        Logarithm of the sum of exp(z).
    """

    below: Tensor
    sums: Tensor
    normaliser: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> "Exponentials":
        """Read logits of shape (T, V) of any format."""
        moments = torch.empty(len(logits), 3, logits.shape[1], device=logits.device)
        moments[:, 0] = 1
        below = moments[:, 1]
        exact = logits.float()
        torch.sub(exact, exact.amax(dim=1, keepdim=True), out=below).clamp_(min=-DEEPEST)
        torch.mul(below, below, out=moments[:, 2])
        sums, columns = {0.0: moments.sum(dim=2)}, moments.transpose(1, 2)
        for start in _STARTS:
            power = torch.mul(below, start).exp_()
            for doubling in range(DOUBLINGS + (start == LOWEST)):
                if doubling:
                    power.mul_(power)
                inverse = start * 2**doubling
                # one product for the three of them: a fourth of the time of sums of products
                sums[inverse] = torch.bmm(power[:, None], columns)[:, 0]
                if inverse == 1:
                    # torch adds pairwise, which is more exact than a product
                    normaliser = power.sum(dim=1).double().log()
        in_order = torch.stack([sums[each] for each in INVERSE_TEMPERATURES.tolist()], dim=1)
        return cls(below, in_order.double(), normaliser)

    def losses(self, targets: Tensor) -> Tensor:
        """Cross-entropy of each token, float64 of shape (T,)."""
        return self.normaliser - self._of(targets)

    def curve(self, targets: Tensor) -> Tensor:
        """Loss of each token and its derivatives at every one of ``INVERSE_TEMPERATURES``.

        The loss of a token at inverse temperature b is log sum_v exp(b z_v) - b z_target.

        Parameters
        ----------
        targets : Tensor of shape (T,), int64
            Tokens that follow.

        Returns
        -------
        Tensor of shape (T, 18, 3), float64
            Loss, first and second derivative by b.
        """
        inverse = torch.tensor(INVERSE_TEMPERATURES, device=self.sums.device)
        target = self._of(targets)[:, None]
        total, mean, square = self.sums.unbind(dim=2)
        mean, square = mean / total, square / total
        return torch.stack([total.log() - inverse * target, mean - target, square - mean.square()], dim=2)

    def _of(self, targets: Tensor) -> Tensor:
        return self.below.gather(1, targets[:, None])[:, 0].double()


def refitted(curves: Array, losses: Array) -> tuple[float, Array]:
    """Loss of each text at the one inverse temperature that minimises the loss over all texts.

    The loss is convex in the inverse temperature. Between the points where it is known it is interpolated by
    polynomials of degree 5 with the same value and two derivatives at both ends: the minimum is exact to
    about 1e-6 nats per token for logits like those of a language model, and to 1e-3 for any others.

    Parameters
    ----------
    curves : array of shape (texts, 18, 3)
        Sums of ``Exponentials.curve`` over the tokens of each text.
    losses : array of shape (texts,)
        Loss of each text at inverse temperature 1.

    Returns
    -------
    inverse_temperature : float
        From 0 to 4; NaN if a loss is not finite.
    losses : array of shape (texts,)
        Their sum is never above that of the losses at inverse temperature 1, nor above T log V.
    """
    total = curves.sum(axis=0)
    if not (np.isfinite(total).all() and np.isfinite(losses).all()):
        return float("nan"), np.full(len(losses), np.nan)
    best = _minimum(total)
    refit = BPoly.from_derivatives(INVERSE_TEMPERATURES, np.moveaxis(curves, 0, -1))(best)
    if refit.sum() >= losses.sum():
        return 1.0, losses
    return best, refit


def _minimum(total: Array) -> float:
    """Inverse temperature of the smallest loss; a point where the loss is known if interpolation fails."""
    known = INVERSE_TEMPERATURES
    curve = BPoly.from_derivatives(known, total)
    fine = np.concatenate([np.linspace(0.0, known[1], POINTS), np.geomspace(known[1], known[-1], 8 * POINTS)])
    place = int(np.argmin(curve(fine)))
    bounds = fine[max(0, place - 1)], fine[min(len(fine) - 1, place + 1)]
    best = float(minimize_scalar(curve, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x)
    # a convex function lies above each of its tangents
    tangents = total[:, 0] + total[:, 1] * (best - known)
    interpolates = curve(best) >= tangents.max() - 1e-6 * total[0, 0]
    return float(min([*known, *((fine[place], best) if interpolates else ())], key=curve))
