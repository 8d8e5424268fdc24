"""When accounts first did something, as it became known: what insights read of single events."""

from collections.abc import Sequence
from contextlib import closing

import ibis
import pandas as pd

from features.engines.engine import Engine, engine_of
from features.facts.journeys import reached_milestones
from features.progress import Progress, silent
from features.rollups.weeks import ensure_rollups
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
    with closing(engine_of(workspace, settings)) as engine:
        by_event = event_days(engine, workspace, settings, progress)
        return engine.to_arrow(spans(by_event, asked)).to_pandas()


def event_days(
    engine: Engine, workspace: Workspace, settings: Settings, progress: Progress
) -> ibis.Table:
    """The rollup `account_event_day`, all of it, made current first."""
    made = ensure_rollups(engine, workspace, settings, progress=progress)
    return engine.read_parquet(made.files(workspace.rollups, "account_event_day", 0, FAR_DAY))


def spans(by_event: ibis.Table, settings: Settings) -> ibis.Table:
    """The settings' milestones as `adopted` tells steps: account_id, milestone, day, until."""
    reached = reached_milestones(by_event, settings)
    return reached.rename(day="visible_from", until="until_day").drop("first_day")
