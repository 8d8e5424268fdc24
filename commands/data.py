"""Events to features: simulate, ingest, build, lifecycle."""

import json
from datetime import datetime
from pathlib import Path

import click

from commands.options import DAY, SETTINGS, WORKSPACE, company, opened, verb
from commands.terminal import screen
from features.errors import GoldpanError
from features.read_settings import load_settings
from features.workspace import Workspace


class WithFaults(click.Command):
    """A verb whose help ends with every fault that `--fault` takes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them; they are loaded only when somebody asks for help."""
        from features.simulate.faults.listed import FAULTS

        with formatter.section("Faults"):
            formatter.write_dl([(name, fault.meaning) for name, fault in FAULTS.items()])


@click.command(cls=WithFaults)
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
    with screen.step("Simulating") as progress:
        run(place, accounts=accounts, days=days, seed=seed, faults=faults, progress=progress)
    if oracle:
        from features.simulate.oracle import publish_oracle

        declared = load_settings(settings_file).outcomes.declared()
        with screen.step("Rolling out futures") as progress:
            publish_oracle(
                place, declared, accounts=accounts, days=days, seed=seed, progress=progress
            )


@verb
@click.argument("sources", nargs=-1)
def ingest(workspace: Path, settings_file: Path, sources: tuple[str, ...]) -> None:
    """Read files into the lake, once.

    Takes the sources that the settings name, or only SOURCES, and events that came by HTTP.

    What was stored before is counted as duplicate; what does not meet the contract goes to the dead
    letters with its reason, file and line. Nothing is lost: sent = stored + duplicates + dead
    letters.
    """
    from features.identity.resolve import unresolved
    from features.sources.dead_letters import dead_letters
    from features.sources.ingest import ingest as run
    from serving.intake.collect import collected_unless_served

    place, settings = opened(workspace, settings_file)
    base = settings_file.resolve().parent
    try:
        with screen.step("Ingesting") as progress:
            counts = run(place, settings, base=base, only=sources or None, progress=progress)
            counts += collected_unless_served(place, settings)
    except GoldpanError:
        if letters := dead_letters(place).to_pylist():
            screen.refused_so_far(letters)
        raise
    screen.ingested(counts, dead_letters(place).to_pylist())
    screen.unplaced(unresolved(place))


@verb
@click.option(
    "--engine",
    type=click.Choice(("kernel", "duckdb", "spark")),
    help="Instead of the settings'.",
)
def build(workspace: Path, settings_file: Path, engine: str | None) -> None:
    """Make the feature table, as known then.

    Rolls the events up by day, then computes every feature of the catalogue for each observation
    that the outcomes in the settings ask for. What is there already
    and would come out the same is kept. Writes WORKSPACE/features.

    On one machine the kernel computes them, compiled and in memory. `--engine duckdb` does it in
    SQL: the same cells, to check by; it takes over, and says so, where numba cannot be loaded.
    """
    from features.engines.engine import running_on
    from features.identity.resolve import unresolved
    from features.table import refresh
    from features.vocabulary import unheard
    from training.observations import grid

    place, settings = opened(workspace, settings_file)
    with screen.step("Building features") as progress:
        progress(0, 0, "choosing observations")
        observations = grid(place, settings)
        made = refresh(place, running_on(settings, engine), observations, progress=progress)
    screen.OUT.print(f"{len(observations):,} observations, {made.computed:,} computed anew")
    screen.unplaced(unresolved(place))
    screen.warned(unheard(place, settings))


@verb
@click.option("--as-of", type=DAY, help="Day to look at (default: the day after the last event).")
@click.option("--since", type=DAY, help="Start of the period (default: a year before).")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of tables.")
@click.option("--write", "keep", is_flag=True, help="Write it to WORKSPACE/insights too.")
def lifecycle(
    workspace: Path,
    settings_file: Path,
    as_of: datetime | None,
    since: datetime | None,
    as_json: bool,
    keep: bool,
) -> None:
    """How accounts move from state to state, and how fast.

    Visitor, signup/trial, PQL, customer, active, renewed, churned: how many are in each, how many
    get from one to the next and how long it takes; then the journeys and what customers are worth.
    Everything as known on the day. The console shows what --write has kept.
    """
    from features.lifecycle.funnel import report as run
    from features.lifecycle.funnel import write

    place, settings = Workspace(workspace), load_settings(settings_file)
    day, start = (moment.date() if moment else None for moment in (as_of, since))
    if as_json:
        found = run(place, settings, as_of=day, since=start)
        click.echo(json.dumps(found.plain(), indent=2, allow_nan=False))
    else:
        from commands.terminal import lifecycle as shown

        opened(workspace, settings_file)
        with screen.step("Following the accounts") as progress:
            found = run(place, settings, as_of=day, since=start, progress=progress)
        shown.lifecycle(found)
    if keep:
        click.echo(f"wrote {write(place, found)}", err=as_json)
