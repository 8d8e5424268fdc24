"""Real data, and simulators not ours: from the vendors' files to the test period's figures.

GOLDPAN_REAL_DATA names the folder that holds them; nothing of it is shown but figures.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality_reference import reference
from benchmarks.quality_worlds import World
from features.errors import RefusedError
from features.read_settings import load_settings
from features.workspace import Workspace
from training.evaluate import Figure
from training.train import TrainResult, train

FOLDER = "GOLDPAN_REAL_DATA"
ROOT = Path(__file__).parent.parent
SETS = ("edu365", "socialnet7", "crm5", "ravenstack")
REFUSED_AT_CHANCE = "ravenstack"
KINDS = {"edu365": "real", "socialnet7": "simulated by others", "crm5": "simulated by others",
         "ravenstack": "simulated by others, outcomes at random"}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One outcome of one set: its model's figures and its baselines', or why it was refused.

    `reference`: the AUC of `quality_reference` on the same test rows.
    """

    name: str
    outcome: str
    result: TrainResult | None
    reason: str = ""
    reference: Figure | None = None

    @property
    def promotable(self) -> bool:
        """Whether the gate lets the model pass."""
        return self.result is not None and self.result.verdict.passed


def learnt(
    sets: Sequence[str], folder: Path, threads: int, said: Callable[[str], None]
) -> list[Outcome]:
    """Ingest, build and train each set that is here."""
    found = []
    for name in sets:
        if not (Path(os.environ.get(FOLDER, "/nowhere")) / name).is_dir():
            said(f"  {name}: LEFT OUT: {FOLDER} names no folder with it")
            continue
        for outcome in outcomes(name, folder / name, threads):
            said(f"  {name}, {outcome.outcome}: {_auc(outcome) or outcome.reason}")
            found.append(outcome)
    return found


def outcomes(name: str, workspace: Path, threads: int) -> Iterator[Outcome]:
    """The outcomes that the set's settings declare."""
    settings_file = ROOT / "examples" / f"{name}.toml"
    for verb in ("ingest", "build"):
        _goldpan(verb, "--workspace", str(workspace), "--settings", str(settings_file))
    settings = load_settings(settings_file)
    fitting = settings.training.model_copy(update={"threads": threads})
    refused: list[Outcome] = []

    def note(outcome: str, error: RefusedError) -> None:
        refused.append(Outcome(name, outcome, None, str(error)))

    given = settings.model_copy(update={"training": fitting})
    for result in train(Workspace(workspace), given, refused=note):
        apart = reference(World(Workspace(workspace), given), result.outcome)
        yield Outcome(name, result.outcome, result, "; ".join(result.verdict.reasons), apart)
    yield from refused


def _goldpan(*arguments: str) -> None:
    """Run the command as a user would. Raises SystemExit with the end of what it said."""
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", "goldpan", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"goldpan {arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def table(found: Sequence[Outcome]) -> str:
    """Every outcome with its AUC and interval, what its baselines get, and the gate's word."""
    lines = ["| set | data | outcome | test positives | AUC | a person's first evening "
             "| baselines' AUC | promotable |", "|---|---|---|---:|---|---|---|---|"]  # fmt: skip
    for one in found:
        others = one.result.baselines.items() if one.result else ()
        told = ", ".join(f"{name} {figures['auc']}" for name, figures in others)
        word = "yes" if one.promotable else f"no: {one.reason}"
        lines.append(f"| {one.name} | {KINDS[one.name]} | {one.outcome} | {_positives(one)} | "
                     f"{_auc(one) or ''} | {one.reference or ''} | {told} | {word} |")  # fmt: skip
    chance = [one for one in found if one.name == REFUSED_AT_CHANCE]
    if chance:
        refused = "no" if any(one.promotable for one in chance) else "yes"
        lines += ["", f"`{REFUSED_AT_CHANCE}` refused: **{refused}**."]
    return "\n".join(lines)


def _auc(one: Outcome) -> Figure | None:
    return one.result.figures["auc"] if one.result else None


def _positives(one: Outcome) -> str:
    if one.result is None:
        return ""
    return str(one.result.card["blocks"]["test"]["positives"])
