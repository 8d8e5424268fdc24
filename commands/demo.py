"""Everything once, for a simulated company; what a demo leaves, the next need not make again."""

import json
import shutil
from pathlib import Path
from typing import Any

import click

from commands.data import build, ingest, lifecycle, simulate
from commands.keys import for_the_demo
from commands.models import insights, promoted, trained
from commands.options import company, verb
from commands.scores import scored, scored_before, served
from commands.terminal import screen
from commands.users import a_demo_user
from features.code import digest
from features.errors import InputError, RefusedError
from features.read_settings import load_settings
from features.workspace import Workspace, publish_json

NOTE = "demo.json"
HOST = "127.0.0.1"
WEEKS = 2
"""Of how many weeks before the demo has scores too, so that the console shows what moved."""


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

    What a former demo with the same options made is served at once, with a new key in the request
    that is printed; the former demo's key ends.
    """
    place, settings = Workspace(workspace), load_settings(settings_file)
    common = {"workspace": workspace, "settings_file": settings_file}
    options = {"accounts": accounts, "days": days, "seed": seed}
    stamp = options | {"made_by": made_by(settings_file)}
    if begun(place, stamp, again):
        ctx.invoke(simulate, **common, **options)
        ctx.invoke(ingest, **common, sources=())
        ctx.invoke(build, **common)
        trained(place, settings, None)
        promoted(place, settings, tuple(settings.outcomes.declared()), None)
        scored_before(place, settings, WEEKS)
        scored(place, settings, None)
        told(ctx, common)
        finished(place, stamp)
    else:
        screen.OUT.print(f"{workspace} holds this demo already; --again makes it anew.")
    if not no_serve:
        a_demo_user(place, port)
        served(place, settings_file, HOST, port, 1, key=for_the_demo(place))


def told(ctx: click.Context, common: dict[str, Any]) -> None:
    """What the console's page of insights shows; where there is too little, it says so."""
    ctx.invoke(lifecycle, **common, as_of=None, since=None, as_json=False, keep=True)
    try:
        ctx.invoke(insights, **common, outcomes=(), as_json=False, keep=True)
    except RefusedError as error:
        screen.failure(error)


def begun(place: Workspace, stamp: dict[str, Any], again: bool) -> bool:
    """Whether there is work to do; another demo's data are cleared, nobody else's are touched."""
    note = place.root / NOTE
    if note.is_file():
        found = json.loads(note.read_text())
        if found == stamp | {"complete": True} and not again:
            return False
        if again or {**found, "complete": False} != stamp | {"complete": False}:
            for folder in (place.lake, place.rollups, place.features):
                shutil.rmtree(folder, ignore_errors=True)
    elif place.lake.exists():
        raise InputError(f"data in {place.root} that no demo made", do="Name another --workspace.")
    publish_json(note, stamp | {"complete": False})
    return True


def finished(place: Workspace, stamp: dict[str, Any]) -> None:
    """Note that the demo ran to its end."""
    publish_json(place.root / NOTE, stamp | {"complete": True})


def made_by(settings_file: Path) -> str:
    """A digest of the settings and of our own code."""
    return digest("features", "training", "serving", beside=(settings_file,))
