"""Multiple choice packed, in items per second, beside lm-eval's own rows on the same model.

python perf/packed.py [rounds [items]]
"""

import sys
from typing import Any

from measure import Cost, Row, median, ratio, save, smollm2, texts, timed

from fbn_exp.benchmarks import probes
from fbn_exp.benchmarks.harness.model import harness_model
from fbn_exp.benchmarks.harness.tasks import Harness
from fbn_exp.datasets.config import Split
from fbn_exp.models.config import Precision
from fbn_exp.models.language_model import LanguageModel

BATCH = 32
CONTEXT, ENDING, ENDINGS = 80, 20, 4
SHOTS = 4
BATTERY, SAME_SHOTS = "probe battery", "arithmetic, the same four examples for all"
IN_FLOAT32 = (BATTERY, SAME_SHOTS)


def requests_of(lm: LanguageModel, tasks: list[str], items: int, shots: int = 0) -> list[Any]:
    """Return what lm-eval asks the model in these tasks, tokenised, after some examples."""
    asked: list[Any] = []
    benchmark = Harness(
        tasks,
        include_path=str(probes.folder()),
        trust_task_code=True,
        limit=items,
        num_fewshot=shots,
        batch_size=BATCH,
        packed=False,
    )
    benchmark.prepare(lm)

    def listened(requests: list[Any], *args: Any, **others: Any) -> Any:
        asked.extend(requests)
        return [(0.0, False)] * len(requests)

    benchmark._harness_model._loglikelihood_tokens = listened
    benchmark.score(lm)
    return asked


def after_the_same(lm: LanguageModel, requests: list[Any]) -> list[Any]:
    """Put the first items, with a continuation each, before the context of every other one."""
    blank = lm.tokenizer("\n\n")["input_ids"]
    firsts = {tuple(context): words for _, context, words in requests}
    shots = [each for item in list(firsts.items())[:SHOTS] for each in (*item[0], *item[1], *blank)]
    others = set(list(firsts)[SHOTS:])
    return [
        (texts, [*shots, *context], words) for texts, context, words in requests if tuple(context) in others
    ]


def endings_of(lm: LanguageModel, items: int) -> list[Any]:
    """Return contexts from text, each with its own ending and those of three others."""
    length = CONTEXT + ENDING
    long = [ids[:length] for ids in texts(lm, None, Split.test).ids if len(ids) >= length][:items]
    endings = [ids[CONTEXT:] for ids in long]
    return [
        (("", ""), ids[:CONTEXT], endings[(place + step) % len(long)])
        for place, ids in enumerate(long)
        for step in range(ENDINGS)
    ]


def alike(ours: list[Any], others: list[Any]) -> str:
    """Say how far two lists of answers agree."""
    off = max(abs(one[0] - other[0]) for one, other in zip(ours, others, strict=True))
    same = sum(one[1] == other[1] for one, other in zip(ours, others, strict=True))
    return f"log-likelihoods within {off:.1g} nats, {same} of {len(ours)} alike as to the likeliest"


def rounding(lm: LanguageModel, exact: LanguageModel, requests: list[Any]) -> Row:
    """Compare both sides in the models' number format with lm-eval's rows in float32."""
    truth = harness_model(exact, BATCH, packed=False)._loglikelihood_tokens(requests, disable_tqdm=True)
    found = []
    for packed in (True, False):
        answers = harness_model(lm, BATCH, packed)._loglikelihood_tokens(requests, disable_tqdm=True)
        off = [one[0] - other[0] for one, other in zip(answers, truth, strict=True)]
        others = sum(one[1] != other[1] for one, other in zip(answers, truth, strict=True))
        found.append((sum(each**2 for each in off) / len(off)) ** 0.5)
        found.append(others)
    return Row(
        f"{BATTERY}: log-likelihoods off those of lm-eval's rows in float32, root mean square",
        f"packed {found[0]:.2g}, lm-eval's {found[2]:.2g} nats",
        quality=f"{found[1]} and {found[3]} of {len(truth)} not alike as to the likeliest",
    )


def compared(lm: LanguageModel, what: str, requests: list[Any], target: str, rounds: int) -> Row:
    """Measure both sides in turn on the same requests."""
    sides = {packed: harness_model(lm, BATCH, packed) for packed in (True, False)}
    costs: dict[bool, list[Cost]] = {True: [], False: []}
    answers: dict[bool, list[Any]] = {}
    for _ in range(rounds):
        for packed, model in sides.items():
            with timed(costs[packed]):
                answers[packed] = model._loglikelihood_tokens(requests, disable_tqdm=True)
    items = len({tuple(context) for _, context, _ in requests})
    rates = {packed: items / median(costs[packed]).wall for packed in costs}
    shared = sides[True]._shared
    # lm-eval has one row for choices that differ in their last token only
    tokens = sum(map(len, {request.tokens for request in shared._requests}))
    packed_tokens = sum(map(len, shared._plans[shared.way]))
    found = (
        f"{ratio(costs[False], costs[True])}; packed {rates[True]:.3g}, lm-eval's {rates[False]:.3g} items/s"
    )
    quality = (
        f"{alike(answers[True], answers[False])}; {tokens / packed_tokens:.3g} × fewer tokens than lm-eval, "
        "which has one row for choices that differ in their last token only"
    )
    return Row(what, found, target, quality)


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    rounds, items = [*given, *(3, 100)[len(given) :]]
    lm = smollm2()
    arithmetic, code = (requests_of(lm, [f"fbn_{task}"], items) for task in ("arithmetic", "code"))
    measured = [
        (BATTERY, requests_of(lm, list(probes.BATTERY), items), "≥ 1.8"),
        (
            "arithmetic, four examples drawn for each item",
            requests_of(lm, ["fbn_arithmetic"], items, SHOTS),
            "≥ 3",
        ),
        (SAME_SHOTS, after_the_same(lm, arithmetic), "≥ 3"),
        ("code, no examples", code, ""),
        ("code, the same four examples for all", after_the_same(lm, code), "≥ 3"),
        (f"{ENDINGS} endings of {ENDING} tokens after {CONTEXT}", endings_of(lm, items), "≥ 2.3"),
    ]
    rows = []
    for name, requests, target in measured:
        rows.append(compared(lm, f"{name}: lm-eval's rows over packed", requests, target, rounds))
        save("packed", rows)
    # where both sides round so little that their log-likelihoods can be compared
    exact = smollm2(Precision.float32)
    rows.append(rounding(lm, exact, measured[0][1]))
    save("packed", rows)
    for name, requests, target in measured:
        if name in IN_FLOAT32:
            what = f"{name}, in float32: lm-eval's rows over packed"
            rows.append(compared(exact, what, requests, target, 1))
            save("packed", rows)


if __name__ == "__main__":
    main()
