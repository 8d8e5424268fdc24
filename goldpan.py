"""The front door: one command whose verbs follow the data. Each loads what it needs when called."""

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

import terminal
from features.errors import GoldpanError, InputError, RefusedError, from_outside
from features.read_settings import load_settings
from features.settings import OUTCOMES, Settings
from features.workspace import Workspace
from terminal_simulate import WithFaults

WORKSPACE = click.option(
    "--workspace", type=click.Path(path_type=Path, file_okay=False), default=Path("workspace"),
    envvar="GOLDPAN_WORKSPACE", show_default=True, help="Folder that holds all a run makes.",
)  # fmt: skip
SETTINGS = click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path, dir_okay=False),
    default=Path("goldpan.toml"), show_default=True, help="The company's settings.",
)  # fmt: skip
DAY = click.DateTime(formats=["%Y-%m-%d"])
STOPPED = 130


class Verbs(click.Group):
    """Shows errors in words, never as a traceback, and lists the verbs in the data's order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The order in which one would use them."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error that a person can act on ends it with its own exit code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            terminal.stopped()
            ctx.exit(STOPPED)
        except Exception as error:
            told = error if isinstance(error, GoldpanError) else from_outside(error)
            if told is None:
                raise
            terminal.failure(told)
            ctx.exit(told.exit_code)


@click.group(cls=Verbs, context_settings={"max_content_width": 100})
@click.version_option(package_name="goldpan")
def main() -> None:
    """Who will buy, who will upgrade, who will leave, and why.

    The verbs follow the data: simulate (or bring your own files), ingest, build, lifecycle,
    train, promote, score, serve; compare, rollback and dataset look after what was
    promoted. `goldpan demo` does all of it.

    Exit codes: 0 done, 2 something to put right, 3 refused by the data or by the gate, 130 stopped
    by Ctrl-C.
    """


def verb(function: Callable[..., None]) -> click.Command:
    """A command with the options that every verb has."""
    return main.command()(WORKSPACE(SETTINGS(function)))


def company(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say how large a company to make up."""
    size, span = click.IntRange(50), click.IntRange(120)
    for name, kind, default, text in (
        ("--seed", int, 7, "Another seed, another company."),
        ("--days", span, 720, "Days of history."),
        ("--accounts", size, 6000, "Accounts that sign up."),
    ):
        option = click.option(name, type=kind, default=default, show_default=True, help=text)
        function = option(function)
    return function


def opened(workspace: Path, settings_file: Path) -> tuple[Workspace, Settings]:
    """The workspace and the settings that a verb works with."""
    settings = load_settings(settings_file)
    if settings.company.simulated:
        terminal.simulated_notice(settings.company.name)
    return Workspace(workspace), settings


@main.command(cls=WithFaults)
@WORKSPACE
@SETTINGS
@company
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME",
    help="Spoil what is written, as listed below; may be given again for another.",
)
@click.option("--oracle", is_flag=True, help="Write WORKSPACE/oracle.parquet too: minutes more.")
def simulate(
    workspace: Path,
    settings_file: Path,
    accounts: int,
    days: int,
    seed: int,
    faults: tuple[str, ...] = (),
    oracle: bool = False,
) -> None:
    """Make up a SaaS company to try things on.

    Its behaviour drives who buys, upgrades and leaves, with noise. Writes Parquet files to
    WORKSPACE/raw; the same seed gives the same company, whatever faults spoil what is known of it.

    The oracle tells the true probability of every outcome of the settings, for every account on
    every 28th day: what no model can know better. No other verb reads it.
    """
    from features.simulate.world import simulate as run

    place = Workspace(workspace)
    with terminal.step("Simulating") as progress:
        run(place, accounts=accounts, days=days, seed=seed, faults=faults, progress=progress)
    if oracle:
        from features.simulate.oracle import publish_oracle

        declared = load_settings(settings_file).outcomes.declared()
        with terminal.step("Rolling out futures") as progress:
            publish_oracle(
                place, declared, accounts=accounts, days=days, seed=seed, progress=progress
            )


@verb
@click.argument("sources", nargs=-1)
def ingest(workspace: Path, settings_file: Path, sources: tuple[str, ...]) -> None:
    """Read files into the lake, once.

    Takes the sources that the settings name, or only SOURCES.

    What was stored before is counted as duplicate; what does not meet the contract goes to the dead
    letters with its reason, file and line. Nothing is lost: sent = stored + duplicates + dead
    letters.
    """
    from features.identity.resolve import unresolved
    from features.sources.dead_letters import dead_letters
    from features.sources.ingest import ingest as run

    place, settings = opened(workspace, settings_file)
    base = settings_file.resolve().parent
    try:
        with terminal.step("Ingesting") as progress:
            counts = run(place, settings, base=base, only=sources or None, progress=progress)
    except GoldpanError:
        if letters := dead_letters(place).to_pylist():
            terminal.refused_so_far(letters)
        raise
    terminal.ingested(counts, dead_letters(place).to_pylist())
    terminal.unplaced(unresolved(place))


@verb
@click.option("--engine", type=click.Choice(("duckdb", "spark")), help="Instead of the settings'.")
def build(workspace: Path, settings_file: Path, engine: str | None) -> None:
    """Make the feature table, as known then.

    Rolls the events up by day, then computes every feature of the catalogue for each observation
    that the outcomes in the settings ask for. What is there already
    and would come out the same is kept. Writes WORKSPACE/features.
    """
    from features.engines.engine import running_on
    from features.identity.resolve import unresolved
    from features.table import refresh
    from features.vocabulary import unheard
    from training.observations import grid

    place, settings = opened(workspace, settings_file)
    with terminal.step("Building features") as progress:
        progress(0, 0, "choosing observations")
        observations = grid(place, settings)
        made = refresh(place, running_on(settings, engine), observations, progress=progress)
    terminal.OUT.print(f"{len(observations):,} observations, {made.computed:,} computed anew")
    terminal.unplaced(unresolved(place))
    terminal.warned(unheard(place, settings))


@verb
@click.option("--as-of", type=DAY, help="Day to look at (default: the day after the last event).")
@click.option("--since", type=DAY, help="Start of the period (default: a year before).")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of tables.")
def lifecycle(
    workspace: Path,
    settings_file: Path,
    as_of: datetime | None,
    since: datetime | None,
    as_json: bool,
) -> None:
    """How accounts move from state to state, and how fast.

    Visitor, signup/trial, PQL, customer, active, renewed, churned: how many are in each, how many
    get from one to the next and how long it takes; then the journeys and what customers are worth.
    Everything as known on the day.
    """
    from features.lifecycle.funnel import report as run

    place, settings = Workspace(workspace), load_settings(settings_file)
    day, start = (moment.date() if moment else None for moment in (as_of, since))
    if as_json:
        found = run(place, settings, as_of=day, since=start)
        click.echo(json.dumps(found.plain(), indent=2, allow_nan=False))
        return
    import terminal_lifecycle

    opened(workspace, settings_file)
    with terminal.step("Following the accounts") as progress:
        found = run(place, settings, as_of=day, since=start, progress=progress)
    terminal_lifecycle.lifecycle(found)


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
    if not _trained(place, settings, outcomes or None, tune, day):
        raise RefusedError(
            "an outcome without a model that may be promoted (above)",
            do="What was trained is registered in MLflow, and will not be promoted.",
        )


def _trained(
    workspace: Workspace,
    settings: Settings,
    outcomes: tuple[str, ...] | None,
    tune: float = 0.0,
    as_of: date | None = None,
) -> bool:
    """Train and show; whether all models passed the gate."""
    from training.train import train as run

    refused: dict[str, RefusedError] = {}
    with terminal.step("Training") as progress:
        results = run(workspace, settings, outcomes, progress, refused.__setitem__,
                      tune_minutes=tune, as_of=as_of)  # fmt: skip
    for result in results:
        terminal.model(result.card, result.verdict.conditions, result.version)
        terminal.OUT.print(f"  [dim]run {result.run_id}[/dim]")
    for error in refused.values():
        terminal.failure(error)
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
        import terminal_insights

        opened(workspace, settings_file)
        with terminal.step("Looking for insights") as progress:
            found = run(place, settings, outcomes or None, progress=progress)
        terminal_insights.insights(found)
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
    if code := _promoted(place, settings, wanted, number, force=force, reason=reason):
        click.get_current_context().exit(code)


def _promoted(
    workspace: Workspace,
    settings: Settings,
    outcomes: tuple[str, ...],
    number: str | None,
    **how: Any,
) -> int:
    """Promote and show; 0 when every outcome's model was taken, else the gravest exit code."""
    import terminal_registry
    from training.challenge import against
    from training.promotion import promote as run

    code = 0
    for outcome in outcomes:
        try:
            with terminal.step(f"Promoting {outcome}"):
                challenge = against(workspace, settings)
                promotion = run(workspace, settings, outcome, number, challenge=challenge, **how)
        except GoldpanError as error:
            if len(outcomes) == 1:
                raise
            terminal.failure(error)
            code = max(code, error.exit_code)
        else:
            terminal_registry.promoted(promotion)
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
    import terminal_registry
    from training.challenge import conditions
    from training.compare import compare as run
    from training.promotion import contenders

    place, settings = opened(workspace, settings_file)
    with terminal.step("Comparing"):
        found = run(place, settings, *contenders(place, settings, outcome, versions))
    terminal_registry.compared(found, conditions(found))


@verb
@click.argument("outcome", type=click.Choice(OUTCOMES))
@click.option("--reason", help="Why; recorded.")
def rollback(workspace: Path, settings_file: Path, outcome: str, reason: str | None) -> None:
    """Go back to the champion before this one.

    Moves the pointer and MLflow's alias, and records it. Once more goes one further back.
    """
    import terminal_registry
    from training.promotion import rollback as run

    place, settings = opened(workspace, settings_file)
    with terminal.step(f"Rolling back {outcome}"):
        promotion = run(place, settings, outcome, reason)
    terminal_registry.promoted(promotion)


@verb
@click.option("--run", "run_id", required=True, help="A run's id, or the first letters of it.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A Parquet file.")
def dataset(workspace: Path, settings_file: Path, run_id: str, out: Path | None) -> None:
    """Make the data set of a run again, bit for bit.

    Reads the lake at the versions the run read and the settings that it logged (not SETTINGS),
    rebuilds features and labels in a scratch place, and compares their digest with the run's.
    Exits 2 when they differ.
    """
    import terminal_registry
    from training.rebuild import rebuild as run

    place = Workspace(workspace)
    with terminal.step("Rebuilding") as progress:
        found = run(place, run_id, out, progress)
    terminal_registry.rebuilt(found)
    if not found.same:
        raise InputError(
            "a data set whose digest is not the run's",
            expected="the same to the bit",
            do="Check out the run's code (above) and run the command again.",
        )


@verb
@click.option("--as-of", type=DAY, help="Day to score (default: the day after the last event).")
def score(workspace: Path, settings_file: Path, as_of: datetime | None) -> None:
    """Score every account, with reasons.

    Uses every promoted model, and shows the five accounts whose leaving would cost most.
    """
    place, settings = opened(workspace, settings_file)
    _scored(place, settings, as_of.date() if as_of else None)


def _scored(workspace: Workspace, settings: Settings, as_of: date | None) -> None:
    """Score every account, and show those that are most at risk."""
    from serving.batch import at_risk
    from serving.batch import score as run

    with terminal.step("Scoring") as progress:
        snapshot = run(workspace, settings, as_of=as_of, progress=progress)
    accounts = at_risk(snapshot)
    if accounts:
        terminal.at_risk(accounts, settings.company.currency)


@verb
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
def serve(workspace: Path, settings_file: Path, host: str, port: int, workers: int) -> None:
    """Answer `POST /v1/scores`; Ctrl-C stops it.

    Needs neither the settings nor MLflow: all it reads lies in WORKSPACE/bundles and
    WORKSPACE/scores.
    """
    from serving.accounts import an_account
    from serving.start import serve as run

    place = Workspace(workspace)
    account = an_account(place)
    terminal.OUT.print("Starting the service …")
    run(place, host, port, workers, ready=lambda url: terminal.how_to_call(url, account))


@verb
@company
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--no-serve", is_flag=True, help="End after the scores.")
@click.option("--again", is_flag=True, help="Make everything anew.")
@click.pass_context
def demo(
    ctx: click.Context,
    workspace: Path,
    settings_file: Path,
    accounts: int,
    days: int,
    seed: int,
    port: int,
    no_serve: bool,
    again: bool,
) -> None:
    """Do everything once, for a simulated company.

    What a former demo with the same options made is served at once.
    """
    from demo import begun, finished, made_by

    place, settings = Workspace(workspace), load_settings(settings_file)
    common = {"workspace": workspace, "settings_file": settings_file}
    options = {"accounts": accounts, "days": days, "seed": seed}
    stamp = options | {"made_by": made_by(settings_file)}
    if begun(place, stamp, again):
        ctx.invoke(simulate, **common, **options)
        ctx.invoke(ingest, **common, sources=())
        ctx.invoke(build, **common)
        _trained(place, settings, None)
        _promoted(place, settings, tuple(settings.outcomes.declared()), None)
        _scored(place, settings, None)
        finished(place, stamp)
    else:
        terminal.OUT.print(f"{workspace} holds this demo already; --again makes it anew.")
    if not no_serve:
        ctx.invoke(serve, **common, port=port)


if __name__ == "__main__":
    main()
