"""Model card of networks that are shared: what they are, what they were made from, how reliable they are."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from huggingface_hub import ModelCardData

from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.masks import network_table
from fbn_exp.networks.sharing.reference import NAME, HubReference
from fbn_exp.report.reliability import COLUMNS
from fbn_exp.thresholds.base import Threshold

ROWS = 100


def model_card(
    networks: FunctionalNetworks,
    threshold: Threshold,
    reference: HubReference,
    licence: str | None = None,
    drivers: pd.DataFrame | None = None,
) -> str:
    """Write the card as markdown, with the metadata that the hub reads at its top.

    Parameters
    ----------
    networks : FunctionalNetworks
        The networks, whose provenance is told.
    threshold : Threshold
        Rule of membership for the sizes in the table.
    reference : HubReference
        Repository that the card is for.
    licence : str or None
        Name of the licence on the hub; None says that none was given.
    drivers : DataFrame, optional
        Table with ``network``, ``label`` and ``members_go``: what drives each network.
    """
    made = networks.provenance
    model = str(made.get("model", "an unknown model"))
    parts = (
        f"---\n{_metadata(model, licence)}\n---",
        f"# Functional networks of {model}",
        f"{len(networks)} networks over {networks.layout.describe()} of {model}: weights of every neuron in "
        "every network (`networks.safetensors`, float32) and their description (`networks.json`). Read by "
        "fbn_exp:",
        f"    python evaluate.py networks={reference}\n    fbn.load_networks({str(reference)!r})",
        "The digests in `networks.json` show any change of either file; nothing here is executed.",
        "## Made from",
        _provenance(networks).to_markdown(index=False),
        "## Networks",
        f"Members by {threshold.describe()}.{_of_reliability(made)}",
        _table(networks, threshold, drivers).to_markdown(index=False),
        *([f"The first {ROWS} of {len(networks)}."] if len(networks) > ROWS else []),
        "## Limits",
        "Membership in a network says that neurons go together in these texts. What a network does, an "
        "intervention with controls says (`python evaluate.py`), in this model and not in others.",
        "## Licence",
        _licence(model, licence),
    )
    return "\n\n".join(parts) + "\n"


def _metadata(model: str, licence: str | None) -> str:
    # only a model of the hub has a page to link to
    base = model if NAME.fullmatch(model) else None
    tags = ["functional-networks", "interpretability"]
    data = ModelCardData(base_model=base, library_name="fbn_exp", license=licence, tags=tags)
    return str(data.to_yaml())


def _provenance(networks: FunctionalNetworks) -> pd.DataFrame:
    """Table of what the networks come from; what is not known is left out."""
    made = networks.provenance
    config = made.get("config") or {}
    known = {
        "model": made.get("model"),
        "revision": made.get("revision"),
        "weights (digest)": made.get("weight_digest"),
        "number format": made.get("dtype"),
        "site": networks.layout.site.value,
        "texts": made.get("texts"),
        "number of texts": len(made.get("text_digests") or []) or None,
        "texts (digest)": made.get("texts_digest"),
        "signals": _settings(config.get("signals")),
        "method": _settings(config.get("method")),
        "reliability": _settings(config.get("reliability")),
        "seed": config.get("seed"),
        "fbn_exp": made.get("version"),
    }
    rows = [(name, _cell(value)) for name, value in known.items() if value not in (None, "")]
    return pd.DataFrame(rows, columns=["what", "value"])


def _settings(part: Mapping[str, Any] | None) -> str | None:
    """Name of the class and its settings, in one line."""
    if not part:
        return None
    settings = ", ".join(
        f"{name}={value}" for name, value in part.items() if name != "_target_" and value is not None
    )
    name = str(part.get("_target_", "")).rpartition(".")[2]
    return f"{name} {settings}".strip()


def _of_reliability(made: Mapping[str, Any]) -> str:
    """Say if nobody has measured whether the networks come back."""
    name = str((made.get("config") or {}).get("reliability", {}).get("_target_", "NoReliability"))
    if not name.endswith("NoReliability"):
        return ""
    return " Whether they come back from other starts or texts was not measured (`reliability=none`)."


def _table(networks: FunctionalNetworks, threshold: Threshold, drivers: pd.DataFrame | None) -> pd.DataFrame:
    masks = networks.masks(threshold)
    full = network_table(masks, networks.maps, networks.layout, networks.statistics, names=networks.names)
    titles = {"network": "network", "name": "name", "size": "neurons", "explained_variance_ratio": "variance"}
    titles |= {**COLUMNS, "main_block": "main block", "share_in_main_block": "share there"}
    table = full[[name for name in titles if name in full]].rename(columns=titles)
    if drivers is not None:
        table["driven by"] = drivers["label"].to_numpy()
        table["members go"] = drivers["members_go"].to_numpy()
    return table.head(ROWS).map(_cell)


def _cell(value: object) -> str:
    """Text of a cell of a markdown table."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _licence(model: str, licence: str | None) -> str:
    if licence is None:
        return (
            "No licence was given for these networks (`networks.license=`): ask who pushed them. The "
            f"licences of {model} and of the texts stay what they are."
        )
    return (
        f"`{licence}`. The licences of {model} and of the texts, of which only digests are here, stay what "
        "they are."
    )
