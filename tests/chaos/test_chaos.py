"""Kills, full disks, flipped bytes and races at random moments change no result and lose none."""

import dataclasses
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from armed import Blow
from attacks import LOST, SURVIVED, UNNAMED, WRONG, Attack, difference
from runs import server
from tiny_gguf import write_gguf
from world import World, jobs, results, write_texts

# how often each job is attacked in which way
PLAN = {
    ("kill", "extract"): 5,
    ("kill", "convert"): 2,
    ("kill", "sweep"): 5,
    ("kill", "train"): 5,
    ("again", "extract"): 3,
    ("again", "sweep"): 1,
    ("fill", "extract"): 3,
    ("fill", "sweep"): 3,
    ("fill", "train"): 3,
    ("flip", "extract"): 2,
    ("flip", "convert"): 2,
    ("flip", "sweep"): 3,
    ("flip", "train"): 5,
    ("race", "extract"): 1,
    ("race", "sweep"): 2,
    ("rank", "extract"): 2,
}
ATTACKS = [Attack(*which, seed) for which, repeats in PLAN.items() for seed in range(repeats)]
VERDICTS = (SURVIVED, WRONG, LOST, UNNAMED)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """Every job, undisturbed, twice: the first time its operations on files are listed."""
    folder = tmp_path_factory.mktemp("chaos")
    write_texts(folder / "marked.jsonl")
    write_gguf(folder / "tiny.gguf")
    world = World(server(), folder, jobs(folder))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: undisturbed(world, name), world.jobs))
    return world


def undisturbed(world: World, name: str) -> None:
    job, place = world.jobs[name], world.reference(name)
    place.mkdir()
    first = world.start(job, place, blow=Blow(str(place), "list", 0)).ended()
    assert first.status == 0, first.said
    world.results[name] = results(place)
    assert world.results[name]
    world.operations[name] = Path(f"{place}.operations").read_text().splitlines()
    other = world.folder / f"other-{name}"
    other.mkdir()
    second = world.completed(job, other)
    assert second.status == 0, second.said
    assert not difference(world.results[name], results(other))
    world.seconds[name] = second.seconds


def table(outcomes: list[tuple[Attack, str]]) -> str:
    """Counts of what became of each kind of attack."""
    counts = Counter((attack.kind, verdict) for attack, verdict in outcomes)
    kinds = list(dict.fromkeys(attack.kind for attack, _ in outcomes))
    lines = [f"{'attacks':>16}{''.join(f'{verdict:>10}' for verdict in VERDICTS)}"]
    for kind in [*kinds, "all"]:
        of_kind = [counts[each, verdict] for verdict in VERDICTS for each in [kind]]
        if kind == "all":
            of_kind = [sum(counts[each, verdict] for each in kinds) for verdict in VERDICTS]
        lines.append(f"{kind:<8}{sum(of_kind):>8}{''.join(f'{count:>10}' for count in of_kind)}")
    return "\n".join(lines)


@pytest.mark.slow
def test_no_attack_changes_a_result_or_loses_what_was_saved(world, capsys):
    def carried_out(number: int):
        place = world.folder / f"attack-{number}"
        outcome = ATTACKS[number].run(world, place)
        if outcome.verdict == SURVIVED:
            shutil.rmtree(place)
        return outcome

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(carried_out, range(len(ATTACKS))))
    with capsys.disabled():
        print("\n" + table([(attack, each.verdict) for attack, each in zip(ATTACKS, outcomes, strict=True)]))
    failed = {
        str(dataclasses.astuple(attack)): each
        for attack, each in zip(ATTACKS, outcomes, strict=True)
        if each.verdict != SURVIVED
    }
    assert not failed, "\n\n".join(f"{attack}: {each.verdict}: {each.why}" for attack, each in failed.items())
