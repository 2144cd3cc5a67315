"""Canonical ICA: spatially independent components of the patterns that recur across texts."""

import torch
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.moments import neuron_statistics
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.config import CanICAConfig, Contrast, Independence
from fbn_exp.methods.ica import convergence_of, require_samples, search_metrics
from fbn_exp.methods.least_squares import least_squares_courses
from fbn_exp.methods.solvers.convergence import StartScore
from fbn_exp.methods.solvers.starts import search
from fbn_exp.methods.spatial import NeuronWhitening
from fbn_exp.methods.subspace import leading_subspace


class CanICA(CanICAConfig, Decomposition):
    """Canonical independent component analysis (Varoquaux et al. 2010), as nilearn 0.14 defines it.

    A text takes the role of a subject. Each text's signals, centred over its tokens, are reduced to K
    principal components, or to fewer for a text of lower rank. The loadings of all texts are stacked and
    reduced to the K leading singular vectors of the stack. Spatial ICA with the contrast ``cube``
    separates these; of several starts the one is kept whose least sparse map, scaled to norm 1, has the
    smallest L1 norm. No threshold is applied, unlike nilearn's default.

    Maps are centred over neurons for the separation, and reported with their mean. Time courses are the
    least-squares fit of all signals to the maps. Unlike in nilearn, standardisation is not part of the
    method: see ``signals.standardise``.

    Examples
    --------
    >>> networks = fbn.fit(fbn.CanICA(n_components=3), signals)
    """

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        loadings = self._group_loadings(signals, rows, generator)
        whitened = NeuronWhitening.of(loadings)
        rotation = self._sparsest(whitened.values, generator)
        maps = whitened.mixing(rotation).float() @ loadings
        total_energy = float(neuron_statistics(signals).standard_deviation.square().sum()) * len(signals)
        return Components(maps, least_squares_courses(signals, maps), total_energy)

    def _group_loadings(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Tensor:
        """Leading right singular vectors (K, N) of the texts' stacked loadings."""
        stacked = self._stacked_loadings(signals, rows, generator)
        # rows are principal components, not samples: their mean has no meaning
        rank = len(stacked)
        if rank > 0:
            group = leading_subspace(stacked, self.count, generator, centre=False)
            rank = group.rank
        if rank < self.count:
            raise MethodError(
                f"method.n_components is {self.count}, but signals of {signals.shape[0]:,} tokens × "
                f"{signals.shape[1]:,} neurons have rank {rank} in the principal components of their "
                "texts: take fewer components, or more and more varied text (dataset.n_texts)"
            )
        return group.loadings

    def _stacked_loadings(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Tensor:
        """Loadings (R, N) of the principal components of all texts, the only copy of this size."""
        texts = [signals[text_rows] for text_rows in rows.slices]
        kept = [min(len(text) - 1, self.count, signals.shape[1]) for text in texts]
        stacked = torch.empty(sum(kept), signals.shape[1], device=signals.device)
        n_rows = 0
        progress = tqdm(zip(texts, kept, strict=True), "PCA of texts", len(texts), leave=False)
        for text, most in progress:
            if most == 0:  # a single token has no variance
                continue
            subspace = leading_subspace(text, most, generator)
            count = min(most, subspace.rank)
            stacked[n_rows : n_rows + count] = subspace.loadings[:count]
            if not self.cca:
                stacked[n_rows : n_rows + count] *= subspace.singular_values[:count, None].float()
            n_rows += count
        return stacked[:n_rows]

    def _sparsest(self, whitened: Tensor, generator: torch.Generator) -> Tensor:
        """Rotation of whitened loadings (L, N) from the start whose least sparse map is the sparsest."""
        require_samples(whitened, self.count, Independence.spatial)

        def largest_l1(weights: Tensor) -> float:
            # whitened loadings have norm √N
            return float((weights @ whitened).abs().sum(dim=1).max()) / whitened.shape[1] ** 0.5

        found = search(whitened, self, Contrast.cube, generator, lambda weights: -largest_l1(weights))
        best = found.best
        self.convergence_ = (convergence_of(found, StartScore.largest_l1),)
        self.metrics_ = {**search_metrics(found), "largest_l1": -best.score, "spatial": 1.0}
        self.statistics_ = found.statistics(self.count - len(whitened))
        return best.weights
