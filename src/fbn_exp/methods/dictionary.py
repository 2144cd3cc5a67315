"""Sparse dictionary learning: networks in which most neurons have weight 0."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import MiniBatchDictionaryLearning
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.random_state import random_state_kept
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.config import DictionaryConfig, Independence
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.least_squares import least_squares_courses
from fbn_exp.methods.solvers.convergence import Convergence
from fbn_exp.methods.subspace import Subspace


class DictionaryLearning(DictionaryConfig, Decomposition):
    """Sparse maps over neurons, dense time courses (Mensch et al. 2016; Mairal et al. 2009).

    As in nilearn's ``DictLearning``, signals are first reduced to K principal components: a neuron is then a
    vector y of K values, and scikit-learn's online solver finds atoms D of norm at most 1 and weights w that
    minimise ½ ‖y − D w‖² + alpha ‖w‖₁ over neurons. The weights are the maps. Since most of them are exactly
    0, alpha determines a network's size as much as the threshold does. Time courses are the least-squares
    fit of the signals to the maps, so they are not affected by the penalty's shrinkage.

    The dictionary is initialised with spatially independent components, as in nilearn: from principal
    components the solver converges to a poor optimum, even on planted sparse maps.

    Attributes
    ----------
    maps_, time_courses_, explained_variance_ratio_, explained_variance_, metrics_
        As in ``Decomposition``; a map may be 0 in all neurons.

    Examples
    --------
    >>> networks = fbn.fit(fbn.DictionaryLearning(n_components=3, alpha=1.0), signals)
    """

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        subspace = self.subspace(signals, generator)
        reduced = subspace.singular_values[:, None] * subspace.loadings.double()
        norms = torch.linalg.vector_norm(reduced, dim=0)
        reduced /= norms[norms > 0].median()
        weights = self._learn_weights(
            reduced.T.cpu().numpy(), self._first_atoms(subspace, generator), generator
        )
        maps = torch.from_numpy(weights).T.float().contiguous()
        empty = int((maps == 0).all(dim=1).sum())
        if empty == self.n_components:
            raise MethodError(
                f"method.alpha is {self.alpha}, which leaves no neuron in any network: lower it"
            )
        self.metrics_["empty_maps"] = float(empty)
        self.metrics_["sparsity"] = float((maps == 0).double().mean())
        return Components(maps, least_squares_courses(signals, maps), subspace.total_energy)

    def _first_atoms(self, subspace: Subspace, generator: torch.Generator) -> NDArray[np.float64]:
        """Initial dictionary (K, K); each row is an atom of norm 1."""
        # singular values · loadings = atoms.T · maps, and maps = mixing · loadings
        ica = ICA(self.n_components, max_starts=1, independence=Independence.spatial)
        mixing = ica.mixing(subspace, generator)
        atoms = torch.linalg.solve(mixing, subspace.singular_values.diag(), left=False).T
        return (atoms / torch.linalg.vector_norm(atoms, dim=1, keepdim=True)).cpu().numpy()

    def _learn_weights(
        self, neurons: NDArray[np.float64], atoms: NDArray[np.float64], generator: torch.Generator
    ) -> NDArray[np.float64]:
        """Sparse weights (N, K) of neurons (N, K) on the dictionary that the solver learns."""
        steps = self.epochs * math.ceil(len(neurons) / self.batch_size)
        bar = tqdm(total=steps, desc="dictionary", unit=" step", leave=False)
        # the solver's Lasso draws unused values from numpy's global generator
        with random_state_kept(), bar as progress:

            def advance(state: dict[str, Any]) -> None:
                progress.update()

            solver = MiniBatchDictionaryLearning(
                self.n_components,
                alpha=self.alpha,
                max_iter=self.epochs,
                fit_algorithm="cd",
                transform_algorithm="lasso_cd",
                batch_size=self.batch_size,
                dict_init=atoms,
                random_state=int(torch.randint(2**31, (), generator=generator)),
                tol=self.tolerance,
                # the cost of a batch depends on its neurons, whose norms differ widely, more than on progress
                max_no_improvement=None,
                callback=advance,
            ).fit(neurons)
            weights: NDArray[np.float64] = solver.transform(neurons)
        settled = solver.n_steps_ < steps
        self.convergence_ = (Convergence(settled, solver.n_steps_, limit="method.epochs"),)
        self.metrics_ = {"n_steps": float(solver.n_steps_), "converged": float(settled)}
        return weights
