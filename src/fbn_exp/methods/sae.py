"""Sparse autoencoder: few latents at each token, none negative; the rows of its decoder are the maps."""

import math

import torch
from torch import Tensor
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.memmap import times, transposed_times
from fbn_exp.core.moments import moments
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.config import SAEConfig
from fbn_exp.methods.least_squares import least_squares_filters
from fbn_exp.methods.solvers.topk import train
from fbn_exp.methods.subspace import leading_subspace, refuse_not_finite


class SparseAutoencoder(SAEConfig, Decomposition):
    """TopK sparse autoencoder with K latents (Gao et al. 2024; Bricken et al. 2023).

    At each token the ``active`` largest latents are kept, none of them negative, and the sum of their decoder
    rows stands for the signals. The autoencoder is trained on the leading ``components`` principal components
    of the signals, since its output has rank K: that takes seconds where all neurons take minutes. The maps
    are the decoder that fits the trained latents best on all neurons, by least squares: they are not confined
    to these components, and explained variance is exact. A map is what a latent adds: its sign is kept, so
    that its heavier tail may be negative, unlike in other methods.

    Texts at the end are held out of the training, to be judged on; the reported decoder is fitted to all. Of
    ``dataset=conditions``, whose texts come condition by condition, they are of the last ones: what is
    explained of them is that of another kind of text.

    Attributes
    ----------
    maps_, explained_variance_ratio_, explained_variance_
        As in ``Decomposition``; a dead latent has a map of zeros.
    time_courses_ : Tensor of shape (T, K), float64
        Activations of the latents, less their mean, at unit variance over tokens.
    statistics_ : mapping
        ``active_share``: share of tokens at which a latent is above 0; 0 for a dead one.
    metrics_ : dict of str to float
        ``dead_latents``, ``latents_per_token``; if texts are held out, ``held_out_variance``, the share of
        their variance that latents explain with the decoder of the other texts, and ``held_out_pca``, that of
        K principal components of the other texts.

    Raises
    ------
    MethodError
        If there are no fewer latents than tokens, or the signals never change or hold a value that is not
        finite.

    Examples
    --------
    >>> networks = fbn.fit(fbn.SparseAutoencoder(n_components=3), signals)
    """

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        energy = moments(signals).energy
        if not math.isfinite(energy):
            refuse_not_finite(signals)
        n_trained = self._n_trained(rows)
        mean = moments(signals[:n_trained]).mean
        values = self._reduced(signals, n_trained, mean, generator)
        latents = train(values[:n_trained], self, generator).latents(values)
        share = (latents > 0).double().mean(dim=0)
        self.statistics_ = {"active_share": share.cpu()}
        self.metrics_ = {
            "dead_latents": float((share == 0).sum()),
            "latents_per_token": float(share.sum()),
        }
        if n_trained < len(signals):
            self._judge(signals, n_trained, mean, latents, values[n_trained:, : self.count])
        centred = latents - latents.mean(dim=0)
        return Components(_decoder(signals, centred), centred, energy)

    @override
    def signs(self, maps: Tensor) -> Tensor:
        return torch.ones(len(maps), device=maps.device)

    @override
    def _check(self, signals: Tensor) -> None:
        self._check_shape(signals)
        # there may be more latents than neurons
        self._check_count(signals, max(0, len(signals) - 1))

    def _n_trained(self, rows: Rows) -> int:
        """Number of tokens of the texts that are not held out; all of them if there is one text only."""
        n_texts = len(rows.present)
        n_held = min(round(self.held_out * n_texts), n_texts - 1)
        return rows.slices[n_texts - n_held - 1].stop if n_held > 0 else len(rows)

    def _reduced(self, signals: Tensor, n_trained: int, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Coordinates of all tokens on principal components of the trained ones, (T, R), float64.

        ``mean`` is that of the trained tokens.
        """
        trained = signals[:n_trained]
        wanted = min(self.most_components, max(1, n_trained - 1), signals.shape[1])
        subspace = leading_subspace(trained, wanted, generator)
        kept = min(wanted, subspace.rank)
        if kept == 0:
            raise MethodError(
                f"signals of {n_trained:,} tokens × {signals.shape[1]:,} neurons have rank 0: take more and "
                "more varied text (dataset.n_texts)"
            )
        loadings = subspace.loadings[:kept]
        inside = (subspace.scores * subspace.singular_values)[:, :kept]
        outside = times(signals[n_trained:], loadings.T).double() - loadings.double() @ mean.to(
            signals.device
        )
        return torch.cat([inside, outside])

    def _judge(
        self, signals: Tensor, n_trained: int, known: Tensor, latents: Tensor, on_principal: Tensor
    ) -> None:
        """Share of the variance of held-out tokens that latents explain, and that principal components do."""
        mean = latents[:n_trained].mean(dim=0)
        decoder = _decoder(signals[:n_trained], latents[:n_trained] - mean).double()
        held = moments(signals[n_trained:])
        n_held = len(signals) - n_trained
        energy = held.energy + n_held * float((held.mean - known).square().sum())
        courses = latents[n_trained:] - mean
        products = transposed_times(signals[n_trained:], courses.float()).double()
        products -= torch.outer(known.to(products.device), courses.sum(dim=0))
        cross = float((products.T * decoder).sum())
        rebuilt = float(((courses.T @ courses) * (decoder @ decoder.T)).sum())
        self.metrics_["held_out_variance"] = (2 * cross - rebuilt) / energy
        self.metrics_["held_out_pca"] = float(on_principal.square().sum()) / energy


def _decoder(signals: Tensor, latents: Tensor) -> Tensor:
    """Decoder (K, N), float32, that fits latents of zero mean (T, K) to the signals by least squares."""
    decoder = torch.zeros(latents.shape[1], signals.shape[1], device=signals.device)
    alive = latents.any(dim=0)
    filters = least_squares_filters(latents[:, alive].T)
    decoder[alive] = transposed_times(signals, filters.T.float()).T
    return decoder
