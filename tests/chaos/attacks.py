"""The attacks: each one on a run of its own, judged by what the next run of the same command gives."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from armed import Blow
from runs import REPOSITORY, Ended
from world import World, kept, results, resumable, unusable

SURVIVED, WRONG, LOST, UNNAMED = "survived", "wrong", "lost", "unnamed"
DATA = (".json", ".csv", ".safetensors", ".html", ".png")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")


@dataclass(frozen=True)
class Outcome:
    """Result of an attack, and the reason."""

    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Attack:
    """One attack: what is done to which job, with a seed for everything that is drawn."""

    kind: str
    job: str
    seed: int

    def run(self, world: World, place: Path) -> Outcome:
        """Carry the attack out in a folder, and judge it."""
        draw = random.Random(f"{self.kind} {self.job} {self.seed}")
        return KINDS[self.kind](world, self.job, place, draw)


def kill(world: World, name: str, place: Path, draw: random.Random) -> Outcome:
    """End a process at one of its operations on files, or after a part of the usual time."""
    place.mkdir()
    job, which = world.jobs[name], draw.choice(SIGNALS)
    if draw.random() < 0.7:
        blow = Blow(str(place), which, draw.randint(1, len(world.operations[name])))
        world.start(job, place, blow=blow).ended()
    else:
        run = world.start(job, place)
        run.signal_after(draw.random() * world.seconds[name], getattr(signal, which))
        run.ended()
    return judged(world, name, place, resume=draw.random() < 0.7)


def again(world: World, name: str, place: Path, draw: random.Random) -> Outcome:
    """End a run that replaces the results of an earlier one: the old ones or the new ones must be there."""
    world.copied(name, place)
    before = {file.relative_to(place) for file in (place / "run").rglob("*") if file.suffix in DATA}
    blow = Blow(str(place), draw.choice(SIGNALS), draw.randint(1, len(world.operations[name])))
    world.start(world.jobs[name], place, blow=blow).ended()
    if gone := [str(file) for file in before if not (place / file).exists()]:
        return Outcome(LOST, f"gone: {gone}")
    return judged(world, name, place, resume=False)


def fill(world: World, name: str, place: Path, draw: random.Random) -> Outcome:
    """Let the disk be full from one of the operations on files on."""
    place.mkdir()
    blow = Blow(str(place), "full", draw.randint(1, len(world.operations[name])))
    ended = world.start(world.jobs[name], place, blow=blow).ended()
    if (outcome := named_or_same(world, name, place, ended)) is not None:
        return outcome
    return judged(world, name, place, resume=draw.random() < 0.7)


def named_or_same(world: World, name: str, place: Path, ended: Ended) -> Outcome | None:
    """Judge a run that met an obstacle: None if it gave the same results, or an error in words."""
    if ended.status == 0:
        differing = difference(world.results[name], results(place), cache=False)
        return Outcome(WRONG, differing) if differing else None
    if "error:" not in ended.said or "Traceback" in ended.said:
        return Outcome(UNNAMED, ended.said[-3000:])
    return None


def flip(world: World, name: str, place: Path, draw: random.Random) -> Outcome:
    """Change bytes of one file that is kept for later runs, or cut it."""
    world.copied(name, place)
    files = [place / "cache" / file for file in kept(place)]
    if name == "convert":
        files = [file for file in files if "models" in file.parts]
    if name == "train":
        checkpoint = half_trained(world, place)
        files = [file for file in checkpoint.iterdir() if file.name != "training_args.bin"]
    file = draw.choice(sorted(files))
    content = bytearray(file.read_bytes())
    if draw.random() < 0.2:
        del content[draw.randrange(len(content)) :]
    else:
        for _ in range(draw.choice((1, 40))):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)
    outcome = judged(world, name, place, resume=name == "train", damaged=file)
    return Outcome(outcome.verdict, f"{file.relative_to(place)}: {outcome.why}" if outcome.why else "")


def half_trained(world: World, place: Path) -> Path:
    """Reduce a finished training run to its checkpoint before the last; return that."""
    checkpoints = sorted((place / "run" / "checkpoints").iterdir())
    for file in (place / "run").iterdir():
        if file.is_dir() and file.name != "checkpoints":
            shutil.rmtree(file)
        elif file.is_file():
            file.unlink()
    for checkpoint in checkpoints[1:]:
        shutil.rmtree(checkpoint)
    return checkpoints[0]


def race(world: World, name: str, place: Path, draw: random.Random) -> Outcome:
    """Start two or three runs at once on one cache; one of them may be killed."""
    place.mkdir()
    job, blow = world.jobs[name], None
    names = ["run", "second", "third"][: draw.choice((2, 3))]
    if draw.random() < 0.5:
        blow = Blow(str(place), "SIGKILL", draw.randint(1, len(world.operations[name])))
    started = [world.start(job, place, each, blow=blow if each == "run" else None) for each in names]
    ended = [run.ended() for run in started]
    for each, end in zip(names[1:], ended[1:], strict=True):
        if end.status:
            return Outcome(LOST, end.said[-3000:])
        if differing := difference(world.results[name], results(place, each)):
            return Outcome(WRONG, differing)
    return judged(world, name, place, resume=False)


def rank(world: World, name: str, place: Path, draw: random.Random) -> Outcome:
    """Kill one of the two ranks of a job at one of its operations on files."""
    place.mkdir()
    job, which = world.jobs[name], draw.choice(("0", "1"))
    at = draw.randint(1, len(world.operations[name]) // 2) if which == "0" else draw.randint(1, 4)
    path = os.pathsep.join([str(Path(__file__).parent / "ranks"), os.environ.get("PYTHONPATH", "")])
    variables = {"CHAOS": json.dumps([which, [str(place), draw.choice(SIGNALS[:2]), at]]), "PYTHONPATH": path}
    two = ("launch=accelerate", "launch.num_processes=2")
    command = [sys.executable, f"{job.script}.py", *job.arguments(place), *two]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    ended = Ended(done.returncode, done.stdout + done.stderr, 0)
    if (outcome := named_or_same(world, name, place, ended)) is not None:
        return outcome
    # two ranks add up in another order than one
    return judged(world, name, place, resume=False, rounded=True)


KINDS = {"kill": kill, "again": again, "fill": fill, "flip": flip, "race": race, "rank": rank}


def judged(
    world: World, name: str, place: Path, resume: bool, damaged: Path | None = None, rounded: bool = False
) -> Outcome:
    """Run the same command again, undisturbed, and compare all results with those of the undisturbed run."""
    if damaged is None and (why := unusable(place)):
        return Outcome(LOST, why)
    job, before, more = world.jobs[name], kept(place), ()
    if resume and name == "train" and (damaged is not None or resumable(place)):
        more = (f"trainer.resume={place / 'run'}",)
    ended = world.completed(job, place, more=more)
    if ended.status and damaged is not None and more:
        # a damaged checkpoint may be refused, in words
        if "error:" not in ended.said or "Traceback" in ended.said:
            return Outcome(UNNAMED, ended.said[-3000:])
        ended = world.completed(job, place)
    if ended.status:
        return Outcome(LOST, ended.said[-3000:])
    if differing := difference(world.results[name], results(place), rounded=rounded):
        return Outcome(WRONG, f"{differing} differ\n{ended.said[-2000:]}")
    after = kept(place)
    replaced = [
        entry
        for entry, stat in before.items()
        if after.get(entry) != stat and not _same_entry(entry, damaged, place)
    ]
    return Outcome(LOST, f"made again: {replaced}") if replaced else Outcome(SURVIVED)


def _same_entry(entry: str, damaged: Path | None, place: Path) -> bool:
    """Return True for a file of the entry that was damaged: the entry is made again as a whole."""
    if damaged is None:
        return False
    file = place / "cache" / entry
    return file == damaged or (damaged.parent == file.parent and damaged.parent.name != "scores")


def difference(
    expected: dict[str, object], found: dict[str, object], cache: bool = True, rounded: bool = False
) -> str:
    """Name what differs between the results of two runs, beyond rounding if descriptions are rounded."""
    names = sorted(expected.keys() | found.keys())
    differing = [name for name in names if expected.get(name) != found.get(name)]
    return ", ".join(
        name
        for name in differing
        if (cache or not name.startswith("cache/"))
        and not (rounded and _same_but_for_rounding(name, expected.get(name), found.get(name)))
    )


def _same_but_for_rounding(name: str, expected: object, found: object) -> bool:
    """Compare descriptions of networks, fractions to five digits; their maps are other files."""
    if not name.endswith("/networks.json") or not isinstance(expected, bytes) or not isinstance(found, bytes):
        return False
    (first, fractions), (second, others) = (_without_fractions(each) for each in (expected, found))
    return first == second and fractions == pytest.approx(others, rel=1e-5)


def _without_fractions(content: bytes) -> tuple[dict[str, object], list[float]]:
    """Split a description into its fractions, and the rest without its digest."""
    fractions: list[float] = []

    def taken(digits: str) -> None:
        fractions.append(float(digits))

    rest = json.loads(content, parse_float=taken)
    rest.pop("description_sha256")
    return rest, fractions
