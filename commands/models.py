"""Features to models: train, insights, promote, compare, rollback, dataset."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from commands.options import DAY, opened, verb
from commands.terminal import screen
from features.errors import GoldpanError, InputError, RefusedError
from features.read_settings import load_settings
from features.settings import OUTCOMES, Settings
from features.workspace import Workspace


@verb
@click.argument("outcomes", nargs=-1, type=click.Choice(OUTCOMES))
@click.option(
    "--tune",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MINUTES",
    help="Search for better parameters for so long, together for all outcomes.",
)
@click.option("--as-of", type=DAY, help="Train as if today were that day.")
def train(
    workspace: Path,
    settings_file: Path,
    outcomes: tuple[str, ...],
    tune: float,
    as_of: datetime | None,
) -> None:
    """Train, judge and register the models.

    One for each of OUTCOMES (default: all that the settings declare).
    A tuned set of parameters is taken only if it wins by more than one standard error.
    Every figure is out of time, with a 95 % interval, beside its baselines. Exits 3 when the gate
    refuses a model: it is registered in MLflow, but `goldpan promote` will not take it.
    """
    place, settings = opened(workspace, settings_file)
    day = as_of.date() if as_of else None
    if not trained(place, settings, outcomes or None, tune, day):
        raise RefusedError(
            "an outcome without a model that may be promoted (above)",
            do="What was trained is registered in MLflow, and will not be promoted.",
        )


def trained(
    workspace: Workspace,
    settings: Settings,
    outcomes: tuple[str, ...] | None,
    tune: float = 0.0,
    as_of: date | None = None,
) -> bool:
    """Train and show; whether all models passed the gate."""
    from training.train import train as run

    refused: dict[str, RefusedError] = {}
    with screen.step("Training") as progress:
        results = run(workspace, settings, outcomes, progress, refused.__setitem__,
                      tune_minutes=tune, as_of=as_of)  # fmt: skip
    for result in results:
        screen.model(result.card, result.verdict.conditions, result.version)
        screen.OUT.print(f"  [dim]run {result.run_id}[/dim]")
    for error in refused.values():
        screen.failure(error)
    return not refused and all(result.verdict.passed for result in results)


@verb
@click.argument("outcomes", nargs=-1, type=click.Choice(OUTCOMES))
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of tables.")
@click.option("--write", "keep", is_flag=True, help="Write them to WORKSPACE/insights too.")
def insights(
    workspace: Path, settings_file: Path, outcomes: tuple[str, ...], as_json: bool, keep: bool
) -> None:
    """Tell what goes with buying, upgrading, renewing and leaving.

    Golden features raw and adjusted, sequences as editable PQL rules, signals, frequencies of use;
    for OUTCOMES, or all that the settings declare.
    With intervals, false discovery control and a trial against chance. Association, never cause.
    Exits 3 where there is too little to say anything.
    """
    from training.insights import insights as run
    from training.insights import write

    place, settings = Workspace(workspace), load_settings(settings_file)
    if as_json:
        found = run(place, settings, outcomes or None)
        click.echo(json.dumps(found.plain(), indent=2, allow_nan=False))
    else:
        from commands.terminal import insights as shown

        opened(workspace, settings_file)
        with screen.step("Looking for insights") as progress:
            found = run(place, settings, outcomes or None, progress=progress)
        shown.insights(found)
    for path in write(place, found) if keep else ():
        click.echo(f"wrote {path}", err=as_json)


@verb
@click.argument("outcomes", nargs=-1, type=click.Choice(OUTCOMES))
@click.option("--version", "number", help="A registered version (default: the newest).")
@click.option("--force", is_flag=True, help="In spite of the gate; recorded with the reason.")
@click.option("--reason", help="Why; --force needs it.")
def promote(
    workspace: Path,
    settings_file: Path,
    outcomes: tuple[str, ...],
    number: str | None,
    force: bool,
    reason: str | None,
) -> None:
    """Let trained models score and serve.

    Prints every condition of the gate with its figure. Where another version serves, both are
    compared on observations that neither learnt from. Writes the bundle that serving reads, a line
    in WORKSPACE/bundles/promotions.jsonl, and moves MLflow's alias `champion`. Exits 3, with the
    reasons, when the gate refuses.
    """
    place, settings = opened(workspace, settings_file)
    wanted = outcomes or tuple(settings.outcomes.declared())
    if code := promoted(place, settings, wanted, number, force=force, reason=reason):
        click.get_current_context().exit(code)


def promoted(
    workspace: Workspace,
    settings: Settings,
    outcomes: tuple[str, ...],
    number: str | None,
    **how: Any,
) -> int:
    """Promote and show; 0 when every outcome's model was taken, else the gravest exit code."""
    from commands.terminal import promotions
    from training.promoting.challenge import against
    from training.promoting.promotion import promote as run

    code = 0
    for outcome in outcomes:
        try:
            with screen.step(f"Promoting {outcome}"):
                challenge = against(workspace, settings)
                promotion = run(workspace, settings, outcome, number, challenge=challenge, **how)
        except GoldpanError as error:
            if len(outcomes) == 1:
                raise
            screen.failure(error)
            code = max(code, error.exit_code)
        else:
            promotions.promoted(promotion)
    return code


@verb
@click.argument("outcome", type=click.Choice(OUTCOMES))
@click.argument("versions", nargs=-1)
def compare(workspace: Path, settings_file: Path, outcome: str, versions: tuple[str, ...]) -> None:
    """Compare two versions of an outcome's model.

    `goldpan compare churn 3 4`; by default the champion and the newest. Both are judged on
    observations that neither learnt from, paired over resamples of accounts; where there are none,
    both recipes are refitted at common cut-offs, and it says so.
    """
    from commands.terminal import promotions
    from training.promoting.challenge import conditions
    from training.promoting.compare import compare as run
    from training.promoting.promotion import contenders

    place, settings = opened(workspace, settings_file)
    with screen.step("Comparing"):
        found = run(place, settings, *contenders(place, settings, outcome, versions))
    promotions.compared(found, conditions(found))


@verb
@click.argument("outcome", type=click.Choice(OUTCOMES))
@click.option("--reason", help="Why; recorded.")
def rollback(workspace: Path, settings_file: Path, outcome: str, reason: str | None) -> None:
    """Go back to the champion before this one.

    Moves the pointer and MLflow's alias, and records it. Once more goes one further back.
    """
    from commands.terminal import promotions
    from training.promoting.promotion import rollback as run

    place, settings = opened(workspace, settings_file)
    with screen.step(f"Rolling back {outcome}"):
        promotion = run(place, settings, outcome, reason)
    promotions.promoted(promotion)


@verb
@click.option("--run", "run_id", required=True, help="A run's id, or the first letters of it.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A Parquet file.")
def dataset(workspace: Path, settings_file: Path, run_id: str, out: Path | None) -> None:
    """Make the data set of a run again, bit for bit.

    Reads the lake at the versions the run read and the settings that it logged (not SETTINGS),
    rebuilds features and labels in a scratch place, and compares their digest with the run's.
    Exits 2 when they differ.
    """
    from commands.terminal import promotions
    from training.records.rebuild import rebuild as run

    place = Workspace(workspace)
    with screen.step("Rebuilding") as progress:
        found = run(place, run_id, out, progress)
    promotions.rebuilt(found)
    if not found.same:
        raise InputError(
            "a data set whose digest is not the run's",
            expected="the same to the bit",
            do="Check out the run's code (above) and run the command again.",
        )
