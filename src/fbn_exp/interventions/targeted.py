"""Intervention on the neurons of given networks, ready to be applied to a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fbn_exp.interventions.edit import Edit, applied
from fbn_exp.interventions.target import Target
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.thresholds.base import Threshold

if TYPE_CHECKING:
    from fbn_exp.interventions.base import Intervention


@dataclass(frozen=True, eq=False, repr=False)
class TargetedIntervention:
    """Intervention together with the neurons that it acts on.

    Attributes
    ----------
    intervention : Intervention
        Rule for the edit.
    target : Target
        Neurons that it acts on.
    networks : FunctionalNetworks
        Networks that the neurons belong to.
    same_weights : bool
        Whether a model must have the very weights that the networks were extracted from.
    threshold : Threshold or None
        Rule of membership that the neurons were chosen by.
    """

    intervention: "Intervention"
    target: Target
    networks: FunctionalNetworks
    same_weights: bool = True
    threshold: Threshold | None = None

    def __repr__(self) -> str:
        chosen = ", ".join(map(str, self.target.networks))
        size = self.intervention.n_neurons(self.target)
        return f"{self.intervention.describe()} on networks {chosen}: {size:,} neurons"

    @property
    def edit(self) -> Edit:
        """Edit of the model: scale and shift of every neuron."""
        return self.intervention.edit(self.target)

    def require_model(self, lm: LanguageModel) -> None:
        """Check that a model is the one that the networks are about.

        Raises
        ------
        LayoutError, NetworksError
            If the networks belong to another model or site, or to other weights.
        """
        self.networks.require_layout(lm.layout(self.target.layout.site), lm.name)
        if self.same_weights:
            self.networks.require_weights(lm.weight_digest, lm.name)

    @contextmanager
    def applied(self, lm: LanguageModel) -> Iterator[LanguageModel]:
        """Intervene on a running model while the context is open; weights are not touched.

        Raises
        ------
        LayoutError, NetworksError
            If the networks belong to another model or site, or to other weights.

        Examples
        --------
        >>> with fbn.Inhibit([3]).on(networks).applied(lm):
        ...     print(lm.generate("The train"))
        """
        self.require_model(lm)
        with applied(lm.model, self.target.layout, self.edit):
            yield lm
