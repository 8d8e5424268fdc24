"""What the verbs have in common: their options, and how they open settings and workspace."""

from collections.abc import Callable
from pathlib import Path

import click

from commands.terminal import screen
from features.read_settings import load_settings
from features.settings import Settings
from features.workspace import Workspace

WORKSPACE = click.option(
    "--workspace", type=click.Path(path_type=Path, file_okay=False), default=Path("workspace"),
    envvar="GOLDPAN_WORKSPACE", show_default=True, help="Folder that holds all a run makes.",
)  # fmt: skip
SETTINGS = click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path, dir_okay=False),
    default=Path("goldpan.toml"), show_default=True, help="The company's settings.",
)  # fmt: skip
DAY = click.DateTime(formats=["%Y-%m-%d"])


def verb(function: Callable[..., None]) -> click.Command:
    """A command with the options that every verb has."""
    return click.command()(WORKSPACE(SETTINGS(function)))


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
        screen.simulated_notice(settings.company.name)
    return Workspace(workspace), settings
