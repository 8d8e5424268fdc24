"""Promotes broken models, one after the other, to a keeper like a worker's; run as a program.

`python tests/mutated_models.py WORKSPACE COUNT SEED` prints as JSON how many were refused and how
many taken over; it must not end otherwise, whatever LightGBM makes of the texts.
"""

import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np
from test_serving_world import seal

from features.workspace import Workspace, publish_text
from serving.models import canary
from serving.models.swap import Keeper

NAME = "churn"


def mutated(text: bytes, chance: random.Random) -> bytes:
    """The text with bytes or a number changed, a line gone, doubled or moved, or cut short."""
    way = chance.randrange(6)
    if way == 0:
        changed = bytearray(text)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.randrange(32, 127)
        return bytes(changed)
    if way == 1:
        return text[: chance.randrange(len(text))]
    if way == 2:
        return number_changed(text, chance)
    lines = text.split(b"\n")
    place = chance.randrange(len(lines))
    line = lines.pop(place)
    if way == 3:
        lines[place:place] = [line, line]
    elif way == 4:
        lines.insert(chance.randrange(len(lines)), line)
    return b"\n".join(lines)


def number_changed(text: bytes, chance: random.Random) -> bytes:
    """One of the numbers of a tree replaced by one that is out of place."""
    lines = text.split(b"\n")
    trees = [i for i, line in enumerate(lines) if b"=" in line and line[-1:].isdigit()]
    place = chance.choice(trees)
    key, _, values = lines[place].partition(b"=")
    numbers = values.split(b" ")
    numbers[chance.randrange(len(numbers))] = chance.choice([b"-1", b"0", b"99999999", b"1e300"])
    lines[place] = key + b"=" + b" ".join(numbers)
    return b"\n".join(lines)


def main(workspace: Workspace, count: int, seed: int) -> None:
    """Promote `count` broken versions; after each, every account still gets a score."""
    canary.CPU_SECONDS = 3
    keeper = Keeper(workspace)
    keeper.look()
    first = workspace.bundles / NAME / "1"
    manifest = json.loads((first / "manifest.json").read_text())
    refused = taken = 0
    for number in range(2, count + 2):
        folder = workspace.bundles / NAME / str(number)
        shutil.copytree(first, folder)
        chance = random.Random(seed * 100_000 + number)  # noqa: S311 - to be repeated
        text = mutated((first / "model.txt").read_bytes(), chance)
        (folder / "model.txt").write_bytes(text)
        seal(folder, manifest | {"version": str(number)})
        publish_text(folder.parent / "current", f"{number}\n")
        keeper.look()
        scorer = keeper.state.scorers[NAME]
        rows = [r for r in range(len(scorer.snapshot.table.ids)) if not scorer.why_not(r)]
        assert np.isfinite(scorer.scores(rows).chances).all()
        assert keeper.state.answering
        as_promoted = scorer.model.version == str(number)
        assert as_promoted != (NAME in keeper.state.kept)
        refused, taken = refused + (not as_promoted), taken + as_promoted
    print(json.dumps({"refused": refused, "taken": taken}))


if __name__ == "__main__":
    main(Workspace(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]))
