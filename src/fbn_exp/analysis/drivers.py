"""Drivers of networks: features of tokens, known without the model, that time courses correlate with.

A component of activations can be an artefact of where a token stands. Text models hold a few *massive
activations* at the first token and at a few delimiters (Sun, Chen, Kolter & Liu 2024, "Massive activations in
large language models", arXiv 2402.17762), and attention collects there (Xiao et al. 2024, "Efficient
streaming language models with attention sinks", arXiv 2309.17453). Such a network is labelled by its driver.
"""

import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import kurtosis
from torch import Tensor

from fbn_exp.analysis.tokens import TokenFeatures, token_features
from fbn_exp.core.layout import NeuronLayout
from fbn_exp.core.moments import NeuronStatistics
from fbn_exp.core.rows import Array, Indices
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.signals.base import Signals

# a correlation of a half, "large" in Cohen (1988): the driver explains a quarter of the variance
LARGE_SHARE = 0.25
# a driver that explains this share, a correlation of about 0.9, leaves little to explain
ONLY_SHARE = 0.8
# the first token's share of what position explains: above it, the rest of the text adds little
FIRST_OF_POSITION = 0.8
# share of tokens that count as the strongest: they hold 8.5% of the energy of a normal time course and 16%
# of a Laplace one; half of the energy means that a few tokens make the network, outliers or a rare feature
STRONGEST = 0.01
OUTLIER_ENERGY = 0.5
# more than half of the strongest tokens are the same one
ONE_TOKEN = 0.5
# the strongest tokens have one sign if the other one holds at most a quarter of their magnitude
ONE_SIGN = 0.5
# Sun et al. (2024), section 2: above 100, and above 1,000 times the median magnitude
MASSIVE_VALUE, MASSIVE_FACTOR = 100.0, 1_000.0

TEXTS = 3
FEATURES = ("first_token", "position", "punctuation", "newline", "digit", "log_frequency")
NONE = "none of these"
FEATURE_OF_LABEL = {
    "punctuation": "driver_punctuation",
    "newlines": "driver_newline",
    "digits": "driver_digit",
    "rare tokens": "driver_log_frequency",
    "frequent tokens": "driver_log_frequency",
    "corpus": "driver_domain",
}


@dataclass(frozen=True, eq=False)
class Drivers:
    """Drivers of each network.

    Attributes
    ----------
    table : DataFrame
        One row per network; see ``drivers``.
    texts : DataFrame
        Texts with the most energy of each network: network, rank, text, origin, root_mean_square.
    features : TokenFeatures
        Features that the time courses were compared with.
    """

    table: pd.DataFrame
    texts: pd.DataFrame
    features: TokenFeatures


def drivers(lm: LanguageModel, signals: Signals, time_courses: Tensor, masks: Tensor) -> Drivers:
    """Compare every network's time course with features of the tokens.

    Parameters
    ----------
    lm : LanguageModel
        Model, for its tokenizer.
    signals : Signals
        Signals that the networks were extracted from.
    time_courses : Tensor of shape (T, K)
        One column per network.
    masks : Tensor of shape (K, N), bool
        Members of each network.

    Returns
    -------
    Drivers
        Its table has the columns network; label; ``driver_<feature>``: Pearson's correlation with each of
        ``FEATURES``, NaN where the feature is the same for all tokens; driver_position_any: share of the
        variance that position explains, by a curve of any shape; first_token_energy: share of the time
        course's energy at first tokens, NaN where all tokens or none are first; driver_domain and domain: the
        correlation of largest magnitude with one corpus or label against the others, NaN if there is only
        one; kurtosis (excess); strongest_energy: share of the energy in the strongest 1% of tokens;
        strongest_balance: sum of the time course there over the sum of its magnitude, from -1 to 1; top_token
        and top_token_share: the most frequent among these; driver_sign: see ``driver_sign``; massive_share:
        members with massive activations.
    """
    features = token_features(lm, signals)
    courses = time_courses.double().numpy()
    table = pd.DataFrame({"network": range(courses.shape[1])})
    for name in FEATURES:
        table[f"driver_{name}"] = correlation(courses, features.numbers[name])
    table["driver_position_any"] = explained_by(courses, features.position)
    table["first_token_energy"] = energy_at(courses, features.numbers["first_token"])
    table["driver_domain"], table["domain"] = _domain(courses, features)
    with warnings.catch_warnings():
        # of a course that is 0 throughout it is NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        table["kurtosis"] = kurtosis(courses, axis=0)
    strongest = _strongest_rows(courses)
    energy = courses**2
    table["strongest_energy"] = np.take_along_axis(energy, strongest, axis=0).sum(axis=0) / energy.sum(axis=0)
    values = np.take_along_axis(courses, strongest, axis=0)
    with np.errstate(invalid="ignore"):
        table["strongest_balance"] = values.sum(axis=0) / np.abs(values).sum(axis=0)
    tokens = [_top_token(features, rows) for rows in strongest.T]
    table["top_token"], table["top_token_share"] = zip(*tokens, strict=True)
    frequency = features.numbers["log_frequency"]
    rare = frequency[strongest].mean(axis=0) < frequency.mean()
    massive = massive_neurons(signals.neurons, signals.layout)
    table["massive_share"] = _shares(masks, massive)
    labels = [label(row, bool(low)) for (_, row), low in zip(table.iterrows(), rare, strict=True)]
    table.insert(1, "label", labels)
    table["driver_sign"] = [driver_sign(row) for _, row in table.iterrows()]
    return Drivers(table, _strongest_texts(energy, signals), features)


def label(row: "pd.Series[float]", rare: bool) -> str:
    """Label the driver of a network by rule; ``rare``: its strongest tokens are rarer than the mean token.

    1. *first token*: first tokens hold at least ``LARGE_SHARE`` of the energy, and at least
       ``FIRST_OF_POSITION`` of what position explains; *first token only* from ``ONLY_SHARE``. Energy, not
       correlation: a network may be strong at only some first tokens, or with either sign.
    2. Otherwise the feature that explains most, if that is at least ``LARGE_SHARE``.
    3. *one token*: most of its strongest tokens are the same one. 4. *few tokens*: the strongest 1%
    hold at least half of the energy. 5. *none of these*; other features may still drive it.
    """
    first = row["first_token_energy"]
    position = row["driver_position_any"]
    # comparisons with NaN, where a feature does not apply, are false
    if first >= LARGE_SHARE and not first < FIRST_OF_POSITION * position:
        return "first token only" if first >= ONLY_SHARE else "first token"
    shares = {
        "position": np.nanmax([position, row["driver_position"] ** 2, -1.0]),
        "punctuation": row["driver_punctuation"] ** 2,
        "newlines": row["driver_newline"] ** 2,
        "digits": row["driver_digit"] ** 2,
        "rare tokens" if rare else "frequent tokens": row["driver_log_frequency"] ** 2,
        "corpus": row["driver_domain"] ** 2,
    }
    known = {name: share for name, share in shares.items() if share >= LARGE_SHARE}
    if known:
        return max(known, key=lambda name: known[name])
    if row["top_token_share"] > ONE_TOKEN:
        return "one token"
    return "few tokens" if row["strongest_energy"] >= OUTLIER_ENERGY else NONE


def driver_sign(row: "pd.Series[float]") -> int:
    """Sign of the time course at what the label names: 1 high there, -1 low, 0 now high and now low.

    At a feature it is the sign of the correlation, unless that explains less than half of what first tokens
    or position do; of *one token*, *few tokens* and *none of these* the sign at the strongest tokens, unless
    the weaker sign holds more than a quarter of their magnitude.
    """
    first, position = row["driver_first_token"], row["driver_position"]
    match row["label"]:
        case "first token" | "first token only":
            return _sign(first, first**2 >= row["first_token_energy"] / 2)
        case "position":
            return _sign(position, not position**2 < row["driver_position_any"] / 2)
        case "punctuation" | "frequent tokens" | "rare tokens" | "newlines" | "digits" | "corpus":
            sign = _sign(row[FEATURE_OF_LABEL[str(row["label"])]])
            return -sign if row["label"] == "rare tokens" else sign
        case _:
            return _sign(row["strongest_balance"], abs(row["strongest_balance"]) >= ONE_SIGN)


def _sign(value: float, clear: bool = True) -> int:
    return int(np.sign(value)) if clear and np.isfinite(value) else 0


def correlation(courses: Array, feature: Array) -> Array:
    """Pearson's correlation of each column (T, K) with a feature (T,); NaN where either is constant."""
    deviations, other = courses - courses.mean(axis=0), feature - feature.mean()
    scale = np.linalg.norm(deviations, axis=0) * np.linalg.norm(other)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(scale > 0, deviations.T @ other / scale, np.nan)
    return np.where(np.ptp(feature) > 0, r, np.nan)


def explained_by(courses: Array, groups: Indices) -> Array:
    """Share of the variance of each column (T, K) that lies between groups of tokens (T,).

    The correlation ratio corrected for the number of groups: Kelley's (1935) epsilon squared, at least 0.
    NaN with a single group, or with as many groups as tokens.
    """
    n_tokens, n_networks = courses.shape
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(counts) < 2 or len(counts) == n_tokens:
        return np.full(n_networks, np.nan)
    deviations = courses - courses.mean(axis=0)
    sums = np.zeros((len(counts), n_networks))
    np.add.at(sums, codes, deviations)
    total = (deviations**2).sum(axis=0)
    between = (sums**2 / counts[:, None]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        within = (total - between) / (n_tokens - len(counts))
        shares = np.where(total > 0, 1 - within / (total / (n_tokens - 1)), np.nan)
    return np.maximum(shares, 0.0)


def energy_at(courses: Array, indicator: Array) -> Array:
    """Share of the energy of each centred column (T, K) where an indicator (T,) is 1; NaN if it is constant.

    At least the squared correlation with the indicator; more if the values vary where it is 1.
    """
    energy = (courses - courses.mean(axis=0)) ** 2
    if np.ptp(indicator) == 0:
        return np.full(courses.shape[1], np.nan)
    with np.errstate(invalid="ignore"):
        return (energy.T @ indicator) / energy.sum(axis=0)


def massive_neurons(neurons: NeuronStatistics, layout: NeuronLayout) -> Tensor | None:
    """Neurons with a massive activation, bool of shape (N,); None if the largest were not recorded.

    Sun et al. (2024) define it in the residual stream: above 100, and above 1,000 times the median magnitude
    of the hidden state. Here it is applied to the recorded site, and that median is replaced by the median
    over a block's neurons of their mean magnitude.
    """
    if not neurons.largest.numel():
        return None
    massive = neurons.largest > MASSIVE_VALUE
    for block in layout.blocks:
        typical = neurons.mean_absolute[block.columns].median()
        massive[block.columns] &= neurons.largest[block.columns] > MASSIVE_FACTOR * typical
    return massive


def _shares(masks: Tensor, massive: Tensor | None) -> Array:
    if massive is None:
        return np.full(len(masks), np.nan)
    sizes = masks.sum(dim=1).double().numpy()
    with np.errstate(invalid="ignore"):
        return (masks & massive).sum(dim=1).double().numpy() / np.where(sizes > 0, sizes, np.nan)


def _domain(courses: Array, features: TokenFeatures) -> tuple[Array, list[str]]:
    """Largest correlation with one domain against the others, and the name of that domain."""
    present = np.unique(features.domain)
    n_networks, n_texts = courses.shape[1], len(np.unique(features.text))
    # a domain for every text, such as one file per text, distinguishes texts, not corpora
    if len(present) < 2 or len(present) == n_texts:
        return np.full(n_networks, np.nan), [""] * n_networks
    r = np.stack([correlation(courses, (features.domain == code).astype(np.float64)) for code in present])
    best = np.abs(np.nan_to_num(r)).argmax(axis=0)
    names = [features.domains[present[place]] for place in best]
    return r[best, np.arange(n_networks)], names


def _strongest_rows(courses: Array) -> Indices:
    """Rows of the strongest tokens of each network, shape (n, K)."""
    count = max(1, round(STRONGEST * len(courses)))
    # one network at a time: sorting all at once would need as much memory as the time courses
    return np.stack([np.argsort(-np.abs(course), kind="stable")[:count] for course in courses.T], axis=1)


def _top_token(features: TokenFeatures, rows: Indices) -> tuple[str, float]:
    token, count = Counter(features.tokens[rows].tolist()).most_common(1)[0]
    row = next(row for row in rows if features.tokens[row] == token)
    return features.pieces[features.text[row]][features.position[row]], count / len(rows)


def _strongest_texts(energy: Array, signals: Signals) -> pd.DataFrame:
    """Table of the texts whose tokens have the largest mean energy."""
    rows = signals.rows
    sums = np.zeros((len(signals.texts), energy.shape[1]))
    np.add.at(sums, rows.text, energy)
    strength = np.sqrt(sums / np.maximum(rows.lengths, 1)[:, None])
    records = [
        {
            "network": network,
            "rank": rank,
            "text": int(place),
            "origin": signals.texts.documents[place].origin,
            "root_mean_square": float(strength[place, network]),
        }
        for network in range(energy.shape[1])
        for rank, place in enumerate(np.argsort(-strength[:, network], kind="stable")[:TEXTS], start=1)
    ]
    return pd.DataFrame(records, columns=["network", "rank", "text", "origin", "root_mean_square"])
