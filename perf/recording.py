"""Recording against the bare forward pass without the language-model head, on the same texts in turn.

python perf/recording.py [rounds]

Wall-clock throughput, and its ratio both by wall clock and by processor time: on a machine that others use
too, only the latter tells what recording costs.
"""

import sys
import tempfile
from pathlib import Path

from measure import Cost, Row, bare, median, ratio, save, smollm2, texts, timed

from fbn_exp.activations import recorded
from fbn_exp.config.choices import Site
from fbn_exp.config.options import SignalsConfig
from fbn_exp.datasets.base import Texts
from fbn_exp.methods.fastica import FastICA
from fbn_exp.models import LanguageModel


def recording(lm: LanguageModel, texts: Texts, config: SignalsConfig, networks: int) -> None:
    """From texts to signals in memory, statistics included, and to networks where they are wanted."""
    layout = lm.layout(Site.mlp_output)
    with (
        tempfile.TemporaryDirectory() as scratch,
        recorded(lm, texts, layout, config, Path(scratch)) as signals,
    ):
        if networks:
            FastICA(networks).fit(signals.values)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    lm = smollm2()
    wanted, config = texts(lm, 40), SignalsConfig()
    bare(lm, wanted, config.batch_tokens)
    forward: list[Cost] = []
    record: list[Cost] = []
    networks: list[Cost] = []
    for _ in range(rounds):
        with timed(forward):
            bare(lm, wanted, config.batch_tokens)
        with timed(record):
            recording(lm, wanted, config, 0)
        with timed(networks):
            recording(lm, wanted, config, 10)
    rate = f"{wanted.n_tokens / median(record).wall:,.0f} tokens/s"
    save(
        "recording",
        [
            Row("bare forward pass over recording", f"{ratio(forward, record)}; {rate}", "≥ 0.8"),
            Row("text to 10 networks over bare forward pass", str(ratio(networks, forward)), "≤ 1.25"),
        ],
    )


if __name__ == "__main__":
    main()
