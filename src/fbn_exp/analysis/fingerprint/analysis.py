"""Compare the networks of two models by their time courses over the same texts, as in P3, with nulls."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.analysis.base import Recording, TextAnalysis
from fbn_exp.analysis.config import FingerprintConfig
from fbn_exp.analysis.fingerprint.alignment import LocatedTexts, cut, located, shared_ends
from fbn_exp.analysis.fingerprint.courses import mean_courses
from fbn_exp.analysis.fingerprint.scores import (
    LEAST_TOKENS,
    FingerprintNull,
    NullScores,
    Pairs,
    bootstrap_scores,
    fingerprint_score,
    rank_correlations,
    scores_of_samples,
    shifted_scores,
    shuffled_scores,
)
from fbn_exp.core.errors import BenchmarkError
from fbn_exp.core.rows import Array
from fbn_exp.datasets.base import TextDataset
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.thresholds.base import Threshold

BOOTSTRAPS = 1000
# largest p value, and intervals of 1 minus it
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Likeness:
    """Likeness of the networks of a model to those of another one.

    Attributes
    ----------
    name : str
        Folder or repository of the other networks.
    model : str
        Model of the other networks.
    correlations : array of shape (K, L)
        Spearman correlation of every pair of time courses, averaged over texts.
    score : float
        Mean |ρ| of the best one-to-one matching.
    bootstrap : array of shape (draws,)
        Scores of bootstrap samples of texts, the same texts for all models.
    samples : array
        Score of each disjoint sample of a few texts.
    shared_tokens : float
        Share of the first model's tokens that end where a token of the other one does; tokens that are left
        out for both are not counted.
    """

    name: str
    model: str
    correlations: Array
    score: float
    bootstrap: Array
    samples: Array
    shared_tokens: float

    @property
    def interval(self) -> tuple[float, float]:
        """Percentile interval of 95% over texts."""
        low, high = np.quantile(self.bootstrap, [LEVEL / 2, 1 - LEVEL / 2])
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class FingerprintFindings:
    """Likeness of two models, beside nulls and models of another origin.

    Attributes
    ----------
    model : str
        The first model.
    other : Likeness
        The other model.
    nulls : list of NullScores
        Scores where something of the likeness is destroyed.
    references : list of Likeness
        Models that are known to be of another origin.
    n_texts, texts_per_sample : int
        Number of texts, and of those of one sample.
    threshold : str
        Rule of membership, in words.
    """

    model: str
    other: Likeness
    nulls: list[NullScores]
    references: list[Likeness]
    n_texts: int
    texts_per_sample: int
    threshold: str

    @property
    def beyond_texts(self) -> bool:
        """True if time courses agree token by token, beyond other texts and shifts."""
        needed = (FingerprintNull.texts, FingerprintNull.shifts)
        return all(null.p_value <= LEVEL for null in self.nulls if null.kind in needed)

    def margin(self, reference: Likeness) -> tuple[float, float, float]:
        """Score minus that of a reference, with a 95% interval over the same texts."""
        drawn = self.other.bootstrap - reference.bootstrap
        low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
        return self.other.score - reference.score, float(low), float(high)

    @property
    def shown(self) -> bool:
        """True if same origin is shown: beyond the nulls, and more alike than every reference.

        Models that share nothing but the texts have time courses that agree beyond other texts and shifts,
        since both follow punctuation and digits: only models of another origin tell how much that is.
        """
        margins = [self.margin(each)[1] > 0 for each in self.references]
        return self.beyond_texts and bool(margins) and all(margins)


class Fingerprint(FingerprintConfig, TextAnalysis):
    """Compare time courses of the networks of two models over the same texts."""

    dataset: TextDataset
    families = ("fingerprint", "network")

    @override
    def measure(
        self, networks: FunctionalNetworks, threshold: Threshold, recording: Recording | None
    ) -> FingerprintFindings:
        assert recording is not None
        texts = cut(self.texts, recording.lm.tokenizer, recording.lm.name)
        own = located(texts, recording.lm)
        masks = networks.masks(threshold)
        batch, scratch = recording.signals.batch_tokens, recording.scratch
        courses = mean_courses(recording.lm, networks.layout, masks, own, batch, scratch)
        name = recording.lm.name
        compared = _Compared(own, courses, recording, threshold, self)
        others = [compared.with_other(self.other, self.other_model, draws=self.set_draws)]
        others += [compared.with_other(each, None, draws=0) for each in self.references]
        kept = _usable([pairs for other in others for pairs in other.pairs])
        correlations = [rank_correlations([other.pairs[0][text] for text in kept]) for other in others]
        drawn = bootstrap_scores(correlations, BOOTSTRAPS, self.seed)
        likenesses = [
            Likeness(
                other.name,
                other.model,
                each.mean(axis=0),
                fingerprint_score(each.mean(axis=0)),
                bootstrap,
                scores_of_samples(each, self.texts_per_sample),
                other.shared,
            )
            for other, each, bootstrap in zip(others, correlations, drawn, strict=True)
        ]
        nulls = self._nulls(others[0], kept, likenesses[0].score)
        return FingerprintFindings(
            name,
            likenesses[0],
            nulls,
            likenesses[1:],
            len(kept),
            self.texts_per_sample,
            threshold.describe(),
        )

    def _nulls(self, other: "_Other", kept: list[int], score: float) -> list[NullScores]:
        observed, *sets = [[pairs[text] for text in kept] for pairs in other.pairs]
        scores = [fingerprint_score(rank_correlations(pairs).mean(axis=0)) for pairs in sets]
        drawn = {
            FingerprintNull.texts: shuffled_scores(observed, self.draws, self.seed),
            FingerprintNull.shifts: shifted_scores(observed, self.draws, self.seed),
            FingerprintNull.neurons: np.array(scores[: self.set_draws]),
            FingerprintNull.rotations: np.array(scores[self.set_draws :]),
        }
        return [NullScores.of(kind, values, score) for kind, values in drawn.items()]


@dataclass(frozen=True, eq=False)
class _Other:
    """Courses of both models at shared tokens: of the other's networks, then of each random set of sets."""

    name: str
    model: str
    pairs: list[Pairs]
    shared: float


@dataclass(frozen=True, eq=False)
class _Compared:
    """One model, to be compared with others."""

    own: LocatedTexts
    courses: list[Array]
    recording: Recording
    threshold: Threshold
    settings: FingerprintConfig

    def with_other(self, name: str, model: str | None, draws: int) -> _Other:
        """Record another model on the same characters, with so many random sets of each kind."""
        networks = FunctionalNetworks.load(local_folder(name))
        assert self.recording.load_other is not None
        lm = self.recording.load_other(networks, model)
        networks.require_unseen(self.own.texts.text_digests)
        other = located(self.own.texts, lm)
        sets = torch.cat(list(_sets(networks, self.threshold, draws, self.settings.seed)))
        batch, scratch = self.recording.signals.batch_tokens, self.recording.scratch
        courses = mean_courses(lm, networks.layout, sets, other, batch, scratch)
        skipped = self.recording.signals.first_tokens_excluded
        places = [
            shared_ends(ends, others, skipped) for ends, others in zip(self.own.ends, other.ends, strict=True)
        ]
        count = len(networks)
        pairs: list[Pairs] = [
            [
                (own[here], theirs[there][:, start : start + count])
                for own, theirs, (here, there) in zip(self.courses, courses, places, strict=True)
            ]
            for start in range(0, len(sets), count)
        ]
        # all ends of the first model would be shared with itself
        ends = sum(len(shared_ends(ends, ends, skipped)[0]) for ends in self.own.ends)
        shared = sum(len(here) for here, _ in places) / max(1, ends)
        return _Other(name, lm.name, pairs, shared)


def _sets(networks: FunctionalNetworks, threshold: Threshold, draws: int, seed: int) -> list[Tensor]:
    """Masks of the networks, then of random neurons, then of random rotations of the maps."""
    masks = networks.masks(threshold)
    generator = torch.Generator().manual_seed(seed)
    neurons, rotations = [], []
    for _ in tqdm(range(draws), desc="random sets of neurons", leave=False, delay=1):
        order = torch.cat(
            [
                block.offset + torch.randperm(block.width, generator=generator)
                for block in networks.layout.blocks
            ]
        )
        neurons.append(masks[:, order])
        turned = replace(networks, maps=_rotation(networks, generator) @ networks.maps, statistics={})
        rotations.append(turned.masks(threshold))
    return [masks, *neurons, *rotations]


def _rotation(networks: FunctionalNetworks, generator: torch.Generator) -> Tensor:
    """Random rotation (K, K) of maps; networks of single blocks are mixed with those of their block alone."""
    count = len(networks)
    normal = torch.randn(count, count, generator=generator, dtype=torch.float64)
    if networks.blocks is not None:
        blocks = torch.tensor(networks.blocks)
        normal = torch.where(blocks[:, None] == blocks[None, :], normal, 0.0)
    return torch.linalg.qr(normal).Q.float()


def _usable(pairs: list[Pairs]) -> list[int]:
    """Texts of which all models share enough tokens.

    Raises
    ------
    BenchmarkError
        If fewer than two texts are left.
    """
    n_texts = len(pairs[0])
    kept = [text for text in range(n_texts) if all(len(each[text][0]) >= LEAST_TOKENS for each in pairs)]
    if len(kept) < 2:
        raise BenchmarkError(
            f"{len(kept)} of {n_texts} texts have {LEAST_TOKENS} tokens that end at the same character for "
            "all models: take more or longer texts, analysis.dataset.tokens_per_text="
        )
    return kept
