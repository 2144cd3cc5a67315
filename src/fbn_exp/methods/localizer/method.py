"""Functional localizer: one network per contrast, of the neurons that tell two conditions apart."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from scipy import special
from scipy.stats import false_discovery_control
from torch import Tensor
from tqdm import tqdm
from typing_extensions import override

from fbn_exp.core.errors import MethodError
from fbn_exp.core.memmap import release
from fbn_exp.core.moments import neuron_statistics
from fbn_exp.core.rows import Rows
from fbn_exp.methods.base import Components, Decomposition
from fbn_exp.methods.least_squares import separate_courses
from fbn_exp.methods.localizer.config import Contrast, LocalizerConfig
from fbn_exp.methods.localizer.halves import agreement, spearman_brown
from fbn_exp.methods.localizer.welch import welch

# two in each half, which have a variance
FEWEST_TEXTS = 4
# false-discovery rate of the share of significant neurons
LEVEL = 0.05


class Localizer(LocalizerConfig, Decomposition):
    """Networks of the neurons that tell conditions apart (Fedorenko et al. 2010; arXiv 2411.02280 for LLMs).

    A text counts once, by the mean of every neuron over its tokens. Welch's t compares the texts of the two
    sides of a contrast; the map holds the normal deviate z with the same p, times the deviation of the
    network's time course (``null_deviation``), which puts it in units of the signal. Networks have the order,
    the names and the sign of the contrasts: positive weights belong to neurons that are more active in the
    positive condition. A time course is the least-squares fit of the signals to its map alone: contrasts of
    several conditions with each other have nearly dependent maps.

    Attributes
    ----------
    statistics_ : dict of str to Tensor of shape (K,)
        Numbers of texts; agreement of halves with its chance level and p, and the effect size in held-out
        texts (see ``Agreement``); ``share_significant``, of the neurons, that are more active in the positive
        condition at a false-discovery rate of .05; ``null_deviation``: a weight divided by it is z.

    Examples
    --------
    >>> from fbn_exp.datasets.conditions.dataset import Conditions
    >>> from fbn_exp.datasets.embedded import EmbeddedDataset
    >>> corpora = {name: EmbeddedDataset(name) for name in ("math", "wiki")}
    >>> texts = Conditions(corpora, n_texts=8, tokens_per_text=32).sample(lm.tokenizer)
    >>> signals = fbn.record(lm, texts, standardise="zscore", skip_first=1)
    >>> math = fbn.Contrast(positive=["math"], negative=["wiki"])
    >>> networks = fbn.fit(fbn.Localizer(contrasts={"math": math}), signals)
    """

    @override
    def _decompose(self, signals: Tensor, rows: Rows, generator: torch.Generator) -> Components:
        labels = self._labels(rows)
        values = self._values(signals, rows)
        maps = torch.empty(len(self.contrasts), signals.shape[1])
        statistics: dict[str, list[float]] = defaultdict(list)
        bar = tqdm(self.contrasts.items(), "contrasts", leave=False)
        for index, (name, contrast) in enumerate(bar):
            maps[index], measured = self._compare(values, labels, name, contrast, generator)
            for statistic, value in measured.items():
                statistics[statistic].append(value)
        self.names_ = tuple(self.contrasts)
        self.statistics_ = {
            name: torch.tensor(each, dtype=torch.float64) for name, each in statistics.items()
        }
        self.metrics_ = {
            "texts_compared": float(len(values)),
            "mean_split_half": float(self.statistics_["split_half"].mean()),
        }
        maps = maps.to(signals.device)
        total_energy = float(neuron_statistics(signals).standard_deviation.square().sum()) * len(signals)
        courses, explained = separate_courses(signals, maps)
        self._explained = explained / total_energy
        return Components(maps, courses, total_energy)

    def _labels(self, rows: Rows) -> list[str | None]:
        """Label of every text that has rows."""
        if not any(rows.labels):
            raise MethodError(
                "method=localizer compares texts by their labels, and these have none: take "
                "dataset=conditions, or a labelled data set such as dataset=tweets"
            )
        return [rows.labels[text] for text in rows.present]

    def _values(self, signals: Tensor, rows: Rows) -> Tensor:
        """Mean of every neuron over the tokens of each text, shape (texts, N), float64."""
        values = torch.empty(len(rows.slices), signals.shape[1], dtype=torch.float64)
        for text, part in enumerate(rows.slices):
            values[text] = signals[part].double().mean(dim=0)
            release(signals[part])
        if not values.isfinite().all():
            bad = int((~values.isfinite().all(dim=0)).nonzero()[0])
            raise MethodError(f"signals hold a value that is not finite, in the column of neuron {bad}")
        return values.abs() if self.magnitude else values

    def _compare(
        self,
        values: Tensor,
        labels: Sequence[str | None],
        name: str,
        contrast: Contrast,
        generator: torch.Generator,
    ) -> tuple[Tensor, Mapping[str, float]]:
        """Map of z (N,) of a contrast, and statistics of it."""
        conditions = [*contrast.positive, *contrast.negative]
        chosen = [text for text, label in enumerate(labels) if label in conditions]
        condition = torch.tensor([conditions.index(str(labels[text])) for text in chosen], dtype=torch.int64)
        for index, label in enumerate(conditions):
            if (count := int((condition == index).sum())) < FEWEST_TEXTS:
                raise MethodError(_too_few(name, label, count, labels))
        positive = condition < len(contrast.positive)
        compared = values[chosen]
        compared = compared - compared.mean(dim=0)
        z = welch(compared, positive[None], ~positive[None]).z()[0]
        halves = agreement(
            compared, positive, condition, self.splits, self.permutations, self.fraction, generator
        )
        return z.float(), {
            "texts_positive": float(positive.sum()),
            "texts_negative": float((~positive).sum()),
            "split_half": halves.r,
            "spearman_brown": spearman_brown(halves.r),
            "chance_split_half": halves.chance,
            "p_split_half": halves.p,
            "effect_size": halves.effect_size,
            "largest_z": float(z.max()),
            "share_significant": float((false_discovery_control(special.ndtr(-z.numpy())) <= LEVEL).mean()),
        }

    @override
    def _learn(self, components: Components) -> None:
        super()._learn(components)
        self.explained_variance_ = self._explained
        deviation = components.time_courses.square().mean(dim=0).sqrt()
        self.statistics_ = {**self.statistics_, "null_deviation": deviation}

    @override
    def _order(self, energy: Tensor) -> Tensor:
        """Keep the order of the contrasts."""
        return torch.arange(len(energy))

    @override
    def signs(self, maps: Tensor) -> Tensor:
        """Keep the direction of the contrasts."""
        return torch.ones(len(maps))


def _too_few(name: str, label: str, count: int, labels: Sequence[str | None]) -> str:
    """Message for a condition with too few texts for halves that have a variance."""
    if count:
        return (
            f"method.contrasts.{name}: only {count} texts are labelled {label}, and halves of them need "
            f"{FEWEST_TEXTS}: take more (dataset.n_texts), or a lower dataset.min_tokens"
        )
    there = ", ".join(sorted({each for each in labels if each is not None})[:20])
    return f"method.contrasts.{name}: no text is labelled {label}; labels of the texts: {there}"
