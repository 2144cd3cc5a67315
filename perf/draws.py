"""Cost of 99 draws of a control under benchmark=divergence on 512 tokens, beside 100 forward passes.

python perf/draws.py [rounds [draws]]
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from measure import Cost, Row, bare, peaked, ratio, save, smollm2, timed

from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.divergence.benchmark import Divergence
from fbn_exp.benchmarks.evaluator import Scorer
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import Texts
from fbn_exp.datasets.batches import length_batches, pad
from fbn_exp.datasets.config import Corpus, Split
from fbn_exp.datasets.embedded import EmbeddedDataset
from fbn_exp.interventions.edit import AffineEdit, Edit
from fbn_exp.models.language_model import LanguageModel

N_TEXTS, LENGTH = 8, 64
# share of the neurons that a draw sets to 0
MEMBERS = 0.02


def draw(n_neurons: int, seed: int) -> AffineEdit:
    """Edit that sets random neurons to 0."""
    scale = torch.ones(n_neurons)
    count = int(MEMBERS * n_neurons)
    scale[torch.randperm(n_neurons, generator=torch.Generator().manual_seed(seed))[:count]] = 0
    return AffineEdit(scale, torch.zeros(n_neurons))


def logits(lm: LanguageModel, texts: Texts, batch_tokens: int) -> None:
    """Run the whole model."""
    with torch.inference_mode():
        for batch in length_batches(texts.lengths, batch_tokens):
            ids, mask = pad([texts.ids[text] for text in batch], lm.pad_id)
            lm.model(input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), use_cache=False)


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    rounds, draws = [*given, *(1, 99)[len(given) :]]
    lm = smollm2()
    dataset = EmbeddedDataset(Corpus.wiki, n_texts=N_TEXTS, tokens_per_text=LENGTH, split=Split.test)
    texts = dataset.sample(lm.tokenizer)
    benchmark = Divergence(dataset)
    benchmark.prepare(lm)
    layout = lm.layout(Site.mlp_output)
    scoring: list[Cost] = []
    passes: list[Cost] = []
    with_head: list[Cost] = []
    peaks: list[float] = []
    for each in range(rounds):
        edits: list[Callable[[], Edit]] = [
            partial(draw, layout.n_neurons, each * draws + number) for number in range(draws)
        ]
        with tempfile.TemporaryDirectory() as folder:  # nothing comes from a cache
            scorer = Scorer(lm, layout, benchmark, ScoreCache(Path(folder)))
            with peaked(peaks), timed(scoring):
                scorer.scores_under(edits)
        with timed(passes):
            for _ in range(draws + 1):
                bare(lm, texts, benchmark.batch_tokens)
        with timed(with_head):
            for _ in range(draws + 1):
                logits(lm, texts, benchmark.batch_tokens)
    what = f"{draws} draws scored on {texts.n_tokens} tokens over {draws + 1}"
    save(
        "draws",
        [
            Row(
                f"{what} bare forward passes",
                str(ratio(scoring, passes)),
                "≤ 1.1",
                "the bare pass leaves out the language-model head, which a score needs",
                f"{max(peaks):.2f}",
            ),
            Row(
                "a forward pass with logits of all tokens over a bare one",
                str(ratio(with_head, passes)),
                quality="no score of all tokens costs less",
            ),
            Row(f"{what} forward passes with logits of all tokens", str(ratio(scoring, with_head))),
        ],
    )


if __name__ == "__main__":
    main()
