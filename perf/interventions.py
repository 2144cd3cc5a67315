"""Cost of interventions: forward pass and greedy generation, with and without one, in turn.

python perf/interventions.py [rounds]
"""

import sys

import torch
from measure import Cost, Row, bare, peaked, ratio, save, smollm2, texts, timed

from fbn_exp.core.layout import Site
from fbn_exp.interventions.edit import AffineEdit, applied
from fbn_exp.models.language_model import LanguageModel


def write(lm: LanguageModel, ids: torch.Tensor) -> None:
    with torch.inference_mode():
        lm.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=32,
            min_new_tokens=32,
            do_sample=False,
        )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    lm = smollm2()
    layout = lm.layout(Site.mlp_output)
    wanted = texts(lm, 12)
    scale = torch.ones(layout.n_neurons)
    scale[torch.randperm(layout.n_neurons, generator=torch.Generator().manual_seed(0))[::50]] = 0
    lesion = AffineEdit(scale, torch.zeros(layout.n_neurons))  # 2% of the neurons, in every block
    prompts = torch.tensor([ids[:16] for ids in wanted.ids[:4]])
    work = {"forward pass": lambda: bare(lm, wanted, 2_048), "generation": lambda: write(lm, prompts)}
    rows = []
    for name, run in work.items():
        run()
        untouched: list[Cost] = []
        intervened: list[Cost] = []
        peaks: tuple[list[float], list[float]] = ([], [])
        for each in range(rounds):
            # alternate the order, so that neither variant is always second
            for edited in (False, True) if each % 2 == 0 else (True, False):
                if edited:
                    with peaked(peaks[1]), applied(lm.model, layout, lesion), timed(intervened):
                        run()
                else:
                    with peaked(peaks[0]), timed(untouched):
                        run()
        rows.append(
            Row(
                f"{name}: speed intervened over untouched",
                str(ratio(untouched, intervened)),
                "≥ 0.97",
                peak=f"{max(peaks[1]):.2f}, untouched {max(peaks[0]):.2f}",
            )
        )
        save("interventions", rows)


if __name__ == "__main__":
    main()
