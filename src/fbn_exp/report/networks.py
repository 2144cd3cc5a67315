"""Metrics of networks and of their extraction."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fbn_exp.methods.base import Decomposition, skewness, skewness_error
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.extractor import Extraction
from fbn_exp.networks.masks import intersection_over_union
from fbn_exp.networks.neurons import TOKENS
from fbn_exp.thresholds.base import Tails, Threshold
from fbn_exp.thresholds.config import Pole
from fbn_exp.thresholds.mixture import MixtureThreshold

# metrics of masks that pictures of a sweep draw
UNION_SIZE = "networks/union_size"
SIZES = {name: f"networks/{name}_size" for name in ("largest", "mean", "smallest")}
OVERLAPS = {name: f"networks/{name}_iou" for name in ("largest", "mean")}
# tokens of the texts that networks come from
N_TOKENS = "networks/tokens"
# networks that a sentence names
NAMED = 10


def mask_metrics(masks: Tensor) -> dict[str, float]:
    """Metrics of size and overlap of networks with masks (K, N), named alike in every stage."""
    sizes = masks.sum(dim=1)
    first, second = torch.triu_indices(len(masks), len(masks), offset=1)
    pairs = intersection_over_union(masks, masks)[first, second]
    return {
        "networks": float(len(masks)),
        UNION_SIZE: float(masks.any(dim=0).sum()),
        "networks/empty": float((sizes == 0).sum()),
        SIZES["smallest"]: float(sizes.min()),
        SIZES["mean"]: float(sizes.double().mean()),
        SIZES["largest"]: float(sizes.max()),
        OVERLAPS["largest"]: float(pairs.max()) if len(pairs) else 0.0,
        OVERLAPS["mean"]: float(pairs.mean()) if len(pairs) else 0.0,
    }


def text_metrics(networks: FunctionalNetworks) -> dict[str, float]:
    """Number of tokens, first ones among them, of the texts that networks come from; empty if unknown."""
    counts = networks.provenance.get(TOKENS)
    return {N_TOKENS: float(sum(counts.values()))} if isinstance(counts, Mapping) else {}


def halves_metrics(networks: FunctionalNetworks, chosen: Sequence[int]) -> dict[str, float]:
    """Agreement of a single chosen network between halves of the texts, with its chance level, if measured.

    ``network/split_half`` is |r| of its map, ``…/null_95`` the 95th percentile by chance: of random
    rotations, or of texts with permuted labels for a localizer.
    """
    known = networks.statistics
    if len(chosen) != 1 or "split_half" not in known:
        return {}
    chance = known.get("split_half_null_95", known.get("chance_split_half"))
    values = {"network/split_half": known["split_half"][chosen[0]]}
    return values if chance is None else {**values, "network/split_half/null_95": chance[chosen[0]]}


def extraction_metrics(extraction: Extraction) -> dict[str, float]:
    """Metrics of the signals and the fit, known before the networks are described."""
    signals, norms = extraction.signals, extraction.signals.row_norms
    method = {"seconds": extraction.seconds, **extraction.method.metrics_}
    return {
        "signals/tokens": signals.values.shape[0],
        "signals/neurons": signals.values.shape[1],
        "signals/texts": len(signals.texts),
        "signals/row_norm_median": norms.median,
        "signals/row_norm_largest": norms.largest,
        "signals/outlier_tokens": norms.outliers,
        "signals/outlier_share": norms.outlier_share,
        "recording/tokens_per_second": signals.tokens_per_second,
        **{f"method/{name}": value for name, value in method.items()},
        "explained_variance": extraction.method.explained_variance_,
    }


def tail_metrics(tails: Tails | None) -> dict[str, float]:
    """Number of maps with a tail on either side and without any; empty if the rule looks for none."""
    if tails is None:
        return {}
    positive, negative = tails.positive > 0, tails.negative > 0
    return {
        "networks/positive_tails": float(positive.sum()),
        "networks/negative_tails": float(negative.sum()),
        "networks/without_tails": float((~(positive | negative)).sum()),
    }


def tail_remarks(tails: Tails | None, threshold: Threshold) -> list[str]:
    """Say how many maps have tails, and what members of the others are; empty if nobody looked for tails."""
    if tails is None:
        return []
    positive, negative, without = (int(number) for number in tail_metrics(tails).values())
    said = (
        f"Of {len(tails.positive)} maps {positive} have a positive tail, {negative} a negative one, and "
        f"{without} neither: no tail beyond a normal distribution was found in them"
    )
    if without == 0:
        said = said.split(":")[0]
    elif not isinstance(threshold, MixtureThreshold):
        said += f"; {threshold.describe()} cuts a continuum there, and its members are a convention"
    return [f"{said}.", *_one_sided(tails, threshold)]


def _one_sided(tails: Tails, threshold: Threshold) -> list[str]:
    """Name maps whose only tail lies at the end that the rule does not take."""
    ends = {Pole.positive: (tails.positive, tails.negative), Pole.negative: (tails.negative, tails.positive)}
    if threshold.pole not in ends:
        return []
    taken, other = ends[threshold.pole]
    missed = ((taken == 0) & (other > 0)).nonzero().flatten().tolist()
    if not missed:
        return []
    opposite = Pole.negative if threshold.pole is Pole.positive else Pole.positive
    members = (
        "has no members"
        if isinstance(threshold, MixtureThreshold)
        else f"cuts a continuum in {'it' if len(missed) == 1 else 'them'}"
    )
    return [
        f"Only a {opposite.value} tail was found in {_named(missed)}: threshold.pole={threshold.pole.value} "
        f"{members}; threshold.pole={opposite.value} takes that tail, threshold.pole=both either."
    ]


def _named(networks: Sequence[int]) -> str:
    """Name networks by their numbers, the first ``NAMED`` of many."""
    named = ", ".join(str(network) for network in networks[:NAMED])
    more = f" and {len(networks) - NAMED} more" if len(networks) > NAMED else ""
    return f"network{'s' if len(networks) > 1 else ''} {named}{more}"


def sign_remarks(networks: FunctionalNetworks, method: Decomposition, pole: Pole) -> list[str]:
    """Name networks whose sign is a convention; empty if the method gives signs, or both ends are taken."""
    maps = networks.maps
    if pole is Pole.both or torch.equal(method.signs(maps), method.signs(-maps)):
        return []
    undecided = (skewness(maps).abs() <= 2 * skewness_error(maps)).nonzero().flatten().tolist()
    if not undecided:
        return []
    return [
        f"Which end is positive is a convention in {_named(undecided)}: the skewness of the map is "
        "within two standard errors of 0. Members are those of one end; threshold.pole=negative takes the "
        "other, threshold.pole=both either."
    ]


def tested_lines(statistics: Mapping[str, Sequence[float]]) -> list[str]:
    """Say how many neurons differ between the conditions of contrasts; empty for other networks."""
    if "share_significant" not in statistics:
        return []
    least, most = (100 * end(statistics["share_significant"]) for end in (min, max))
    return [
        f"Tested one by one (false-discovery rate .05), {least:.0f} to {most:.0f}% of the neurons are more "
        "active in the positive condition of a contrast: the rule of membership cuts a continuum."
    ]
