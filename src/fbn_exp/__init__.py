"""Find functional networks in language models and test their function by intervention.

The names below are the public API, from text to a lesion with controls: see ``examples/tour.ipynb``. The
package imports in milliseconds; torch and transformers are imported with the first name that needs them.

Examples
--------
>>> import fbn_exp as fbn
>>> lm = fbn.load_model("smollm2")
>>> texts = fbn.load_texts("wiki", lm, n_texts=100)
>>> signals = fbn.record(lm, texts, standardise="zscore", skip_first=1)
>>> networks = fbn.fit(fbn.ICA(n_components=10), signals)
>>> lesion = fbn.Inhibit([3]).on(networks)
>>> fbn.score(lm, fbn.Perplexity("wiki"), lesion, controls=20).to_frame()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fbn_exp.api import fit, load_model, load_networks, load_texts, push_networks, record, score
    from fbn_exp.benchmarks.classification import Classification
    from fbn_exp.benchmarks.divergence.benchmark import Divergence
    from fbn_exp.benchmarks.generation import Generation
    from fbn_exp.benchmarks.harness.tasks import Harness
    from fbn_exp.benchmarks.perplexity import Perplexity
    from fbn_exp.benchmarks.probes.battery import Probes
    from fbn_exp.core.errors import FbnError
    from fbn_exp.core.layout import NeuronLayout, Site
    from fbn_exp.interventions.component.project import Project
    from fbn_exp.interventions.component.subtract import Subtract
    from fbn_exp.interventions.rules import Amplify, Inhibit, Mean, Preserve, Scale, Shift
    from fbn_exp.methods.canica import CanICA
    from fbn_exp.methods.dictionary import DictionaryLearning
    from fbn_exp.methods.ica import ICA
    from fbn_exp.methods.localizer.config import Contrast
    from fbn_exp.methods.localizer.method import Localizer
    from fbn_exp.methods.pca import PCA
    from fbn_exp.methods.random import RandomRotation
    from fbn_exp.methods.sae import SparseAutoencoder
    from fbn_exp.models.language_model import LanguageModel
    from fbn_exp.networks.artifact import FunctionalNetworks
    from fbn_exp.signals.base import Signals
    from fbn_exp.thresholds.fdr import FalseDiscoveryRate
    from fbn_exp.thresholds.mixture import MixtureThreshold
    from fbn_exp.thresholds.top import TopFraction
    from fbn_exp.thresholds.z import ZThreshold

# public name -> module, and its name there where that differs
_PUBLIC = {
    **dict.fromkeys(
        ("fit", "load_model", "load_networks", "load_texts", "push_networks", "record", "score"), "api"
    ),
    "Amplify": "interventions.rules",
    "CanICA": "methods.canica",
    "Classification": "benchmarks.classification",
    "Contrast": "methods.localizer.config",
    "DictionaryLearning": "methods.dictionary",
    "Divergence": "benchmarks.divergence.benchmark",
    "FalseDiscoveryRate": "thresholds.fdr",
    "FbnError": "core.errors",
    "FunctionalNetworks": "networks.artifact",
    "Generation": "benchmarks.generation",
    "Harness": "benchmarks.harness.tasks",
    "ICA": "methods.ica:ICA",
    "Inhibit": "interventions.rules",
    "LanguageModel": "models.language_model",
    "Localizer": "methods.localizer.method",
    "Mean": "interventions.rules",
    "MixtureThreshold": "thresholds.mixture",
    "NeuronLayout": "core.layout",
    "PCA": "methods.pca",
    "Perplexity": "benchmarks.perplexity",
    "Preserve": "interventions.rules",
    "Probes": "benchmarks.probes.battery",
    "Project": "interventions.component.project",
    "RandomRotation": "methods.random",
    "Scale": "interventions.rules",
    "Shift": "interventions.rules",
    "Signals": "signals.base",
    "Site": "core.layout",
    "SparseAutoencoder": "methods.sae",
    "Subtract": "interventions.component.subtract",
    "TopFraction": "thresholds.top",
    "ZThreshold": "thresholds.z",
}

__all__ = [
    "ICA",
    "PCA",
    "Amplify",
    "CanICA",
    "Classification",
    "Contrast",
    "DictionaryLearning",
    "Divergence",
    "FalseDiscoveryRate",
    "FbnError",
    "FunctionalNetworks",
    "Generation",
    "Harness",
    "Inhibit",
    "LanguageModel",
    "Localizer",
    "Mean",
    "MixtureThreshold",
    "NeuronLayout",
    "Perplexity",
    "Preserve",
    "Probes",
    "Project",
    "RandomRotation",
    "Scale",
    "Shift",
    "Signals",
    "Site",
    "SparseAutoencoder",
    "Subtract",
    "TopFraction",
    "ZThreshold",
    "fit",
    "load_model",
    "load_networks",
    "load_texts",
    "push_networks",
    "record",
    "score",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from fbn_exp.core.package_file import version

        return version()
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _PUBLIC[name].partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), there or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
