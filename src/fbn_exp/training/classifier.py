"""Sequence classifiers: the body of a language model under a new head."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from fbn_exp.core.errors import TrainingError
from fbn_exp.models.language_model import LanguageModel


def classifier(lm: LanguageModel, labels: Sequence[str], seed: int) -> LanguageModel:
    """Put a head that predicts one of ``labels`` from the last token on the body of a language model.

    Parameters
    ----------
    lm : LanguageModel
        Model of any architecture for which transformers has a sequence-classification class. A model that
        already has a head for the same labels is returned unchanged.
    labels : sequence of str
        Labels in the order of the head's outputs.
    seed : int
        Seed of the head's initial weights: normal, with the architecture's ``initializer_range``.

    Raises
    ------
    TrainingError
        If there is no such class, or the model has a head for other labels.
    """
    if lm.labels is not None:
        if sorted(lm.labels) != sorted(labels):
            raise TrainingError(
                f"{lm.name} has a head for {', '.join(lm.labels)}, the texts are labelled "
                f"{', '.join(labels)}: start from a language model, or set task.labels"
            )
        return lm
    model = _with_body_of(lm, labels)
    generator = torch.Generator().manual_seed(seed)
    spread = getattr(model.config.get_text_config(), "initializer_range", None) or 0.02
    body = {id(module) for module in model.base_model.modules()}
    for module in model.modules():
        if id(module) not in body:
            _initialise(module, lm, spread, generator)
    return dataclasses.replace(lm, model=model.eval())


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """List the parameters of a classifier that do not belong to its body."""
    body = {id(parameter) for parameter in getattr(model, "base_model", model).parameters()}
    return [parameter for parameter in model.parameters() if id(parameter) not in body]


def _with_body_of(lm: LanguageModel, labels: Sequence[str]) -> Any:
    config: Any = copy.deepcopy(lm.model.config)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    config.get_text_config().pad_token_id = lm.pad_id
    try:
        with torch.device("meta"):  # the body is replaced at once
            model = AutoModelForSequenceClassification.from_config(
                config, trust_remote_code=lm.config.trust_remote_code
            )
    except (ValueError, ImportError) as error:
        raise TrainingError(
            f"transformers has no sequence-classification model for {type(lm.model).__name__}: "
            f"take task=language_modeling, or another model ({str(error).splitlines()[0][:200]})"
        ) from error
    if model.base_model_prefix != lm.model.base_model_prefix:
        raise TrainingError(
            f"{type(model).__name__} keeps its body under {model.base_model_prefix!r}, "
            f"{type(lm.model).__name__} under {lm.model.base_model_prefix!r}: take task=language_modeling, "
            "or another model"
        )
    setattr(model, model.base_model_prefix, lm.model.base_model)
    return model


def _initialise(module: nn.Module, lm: LanguageModel, spread: float, generator: torch.Generator) -> None:
    """Allocate and initialise the head's parameters, which were created on the meta device."""
    for name, empty in list(module.named_parameters(recurse=False)):
        values = torch.zeros(empty.shape)
        if name == "weight":
            values.normal_(0.0, spread, generator=generator)
        parameter = nn.Parameter(values.to(lm.device, lm.model.dtype))
        setattr(module, name, parameter)
