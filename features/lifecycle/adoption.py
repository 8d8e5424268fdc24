"""When accounts first did something, as it became known: what insights read of single events."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import ibis
import pandas as pd

from features.engines.engine import Engine, engine_of
from features.facts.journeys import reached_milestones
from features.progress import Progress, silent
from features.rollups.weeks import ensure_rollups, held_rollups
from features.settings import Milestone, Settings
from features.workspace import Workspace

FAR_DAY = 10**6


def adopted(
    workspace: Workspace,
    settings: Settings,
    steps: Sequence[Milestone],
    *,
    progress: Progress = silent,
) -> pd.DataFrame:
    """When each account was seen to have taken each step; the steps need not be declared.

    Returns account_id, milestone (the step's name), day, until: days since 1970-01-01. `day` is the
    first whose midnight sees the step taken; from `until` on it is seen no more (the events turned
    out to be another account's). A step whose event never came has no rows.
    """
    asked = settings.model_copy(update={"milestones": tuple(steps)})
    with event_days(workspace, settings, progress) as (engine, by_event):
        return engine.to_arrow(spans(by_event, asked)).to_pandas()


@contextmanager
def event_days(
    workspace: Workspace, settings: Settings, progress: Progress
) -> Iterator[tuple[Engine, ibis.Table]]:
    """The rollup `account_event_day`, all of it, made current first; and what reads it."""
    with held_rollups(workspace), closing(engine_of(workspace, settings)) as engine:
        made = ensure_rollups(engine, workspace, settings, progress=progress)
        files = made.files(workspace.rollups, "account_event_day", 0, FAR_DAY)
        yield engine, engine.read_parquet(files)


def spans(by_event: ibis.Table, settings: Settings) -> ibis.Table:
    """The settings' milestones as `adopted` tells steps: account_id, milestone, day, until."""
    reached = reached_milestones(by_event, settings)
    return reached.rename(day="visible_from", until="until_day").drop("first_day")
