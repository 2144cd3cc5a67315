"""Controls of an intervention, drawn with all that is known about the model."""

import logging
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from fbn_exp.analysis.keystones.analysis import obtain_keystones
from fbn_exp.analysis.keystones.scan import known_keystones
from fbn_exp.core.errors import ControlError, DatasetError, ModelError
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.datasets.base import TextDataset
from fbn_exp.datasets.config import Split
from fbn_exp.interventions.controls.attribution import cached_attribution
from fbn_exp.interventions.controls.config import ControlsConfig
from fbn_exp.interventions.controls.control import Original
from fbn_exp.interventions.controls.draw import DrawnControls, draw_controls
from fbn_exp.interventions.rules import Intervention, NoIntervention
from fbn_exp.interventions.sample.activations import ActivationSample
from fbn_exp.interventions.target import Target
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.stages.build import Parts

log = logging.getLogger(__name__)

# texts of the backward pass that attribution takes
ATTRIBUTED_TEXTS, ATTRIBUTED_TOKENS = 32, 64
EMPTY = "No member of the networks is left to intervene on, and an empty choice of neurons has no controls."
NOT_SCANNED = (
    "It is not known which neurons are keystones, and controls may hold some: python evaluate.py "
    "analysis=keystones or controls.scan=true finds them, and later runs keep them out."
)


def scan_for_controls(lm: LanguageModel, layout: NeuronLayout, parts: Parts, scratch: Path) -> None:
    """Scan for keystones, so that draws find them in the cache, unless model or texts allow none."""
    try:
        obtain_keystones(parts.dataset, lm, layout, parts.cache, scratch)
    except (DatasetError, ModelError) as error:
        log.warning("keystones cannot be scanned for: %s", error)


def drawn_controls(
    intervention: Intervention,
    target: Target,
    networks: FunctionalNetworks | None,
    sample: ActivationSample | None,
    lm: LanguageModel,
    parts: Parts,
    settings: ControlsConfig,
) -> DrawnControls:
    """Draw the controls of an intervention; an untouched model and an empty target have none.

    Parameters
    ----------
    intervention : Intervention
        The intervention.
    target : Target
        Neurons that it acts on.
    networks : FunctionalNetworks or None
        Networks that they belong to.
    sample : ActivationSample or None
        Activations of the untouched model.
    lm : LanguageModel
        The model.
    parts : Parts
        Threshold, texts and cache.
    settings : ControlsConfig
        Kinds and number of draws.
    """
    if isinstance(intervention, NoIntervention) or not settings.drawn:
        return DrawnControls()
    if intervention.acts_on_members and not target.size:
        log.info(EMPTY)
        return DrawnControls(remarks=(EMPTY,))
    layout = target.layout
    keystones = None if settings.keystones else known_keystones(parts.cache, lm, layout)
    original = Original(
        target,
        intervention,
        networks,
        parts.threshold,
        keystones,
        neuron_energy=None if sample is None else sample.neuron_energy,
        first=None if sample is None else sample.values[sample.first],
        attribution=lambda: _attribution(lm, layout, parts.dataset, parts.cache),
    )
    drawn = draw_controls(original, settings)
    if keystones is None and not settings.keystones:
        log.info(NOT_SCANNED)
        return replace(drawn, remarks=(NOT_SCANNED, *drawn.remarks))
    return drawn


def _attribution(lm: LanguageModel, layout: NeuronLayout, dataset: TextDataset, cache: Path) -> Tensor:
    """Attribution on texts like those of the extraction, but of another part."""
    part = Split.train if dataset.split is Split.dev else Split.dev
    others = replace(dataset.shortened(ATTRIBUTED_TEXTS, ATTRIBUTED_TOKENS), split=part)
    try:
        texts = others.sample(lm.tokenizer)
    except DatasetError as error:
        raise ControlError(f"attribution has no texts: {error}") from error
    return cached_attribution(lm, layout, texts, cache)
