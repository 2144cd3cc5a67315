"""What decompositions that fit a method many times have in common."""

from typing import Generic, Self, TypeVar

from torch import Tensor
from typing_extensions import override

from fbn_exp.core.layout import NeuronLayout
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.thresholds.base import Threshold

PlanT = TypeVar("PlanT")


class Wrapped(Decomposition, Generic[PlanT]):
    """A method whose networks come with what several fits tell of them.

    Parameters
    ----------
    method : Decomposition
        Method to repeat; neither fitted nor changed.
    plan : object
        Number and kind of the fits.
    threshold : Threshold
        Rule of membership.
    layout : NeuronLayout, optional
        Blocks of the neurons, for the threshold.
    """

    # set by _decompose, before the networks are learnt
    _together: float

    def __init__(
        self,
        method: Decomposition,
        plan: PlanT,
        threshold: Threshold,
        layout: NeuronLayout | None = None,
    ) -> None:
        super().__init__(n_components=method.n_components, seed=method.seed)
        self.method = method
        self.plan = plan
        self.threshold = threshold
        self.layout = layout

    @override
    def over(self, layout: NeuronLayout) -> Self:
        return type(self)(self.method, self.plan, self.threshold, layout)

    @override
    def resolved(self, signals: Tensor) -> Self:
        """Resolve the method that is repeated."""
        method = self.method.resolved(signals)
        if method is self.method:
            return self
        resolved = type(self)(method, self.plan, self.threshold, self.layout)
        resolved.orders_ = method.orders_
        return resolved

    def _members(self, maps: Tensor) -> Tensor:
        return self.threshold.masks(maps, self.layout)

    @override
    def _learn(self, components: Components) -> None:
        super()._learn(components)
        self.explained_variance_ = self._together

    @override
    def signs(self, maps: Tensor) -> Tensor:
        return self.method.signs(maps)
