"""The steps of `benchmarks.resident`, each in a process of its own."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.company import company_settings
from benchmarks.size import Size
from features.resident.resident import Resident
from features.settings import Settings
from features.workspace import Workspace

NIGHTS = 7
Took = tuple[float, float]
"""CPU and wall seconds."""


def resident_step(workspace: Workspace, threads: int, size: Size) -> Callable[[], dict[str, Any]]:
    """Hold the state of one midnight, compute rows, then go on from midnight to midnight."""
    settings, today = settings_for(threads), size.end.date()

    def work() -> dict[str, Any]:
        with closing(Resident(workspace, settings)) as held:
            state = took(lambda: held.rows([], today))
            assert held.state is not None
            told = held.state.told.accounts
            each = [took(lambda a=a: held.state.numbers(a)) for a in told]  # type: ignore[union-attr, misc]
            compared = check(workspace, settings, held, told, today)
            ingested = _ingested(workspace, settings, held, told, today + timedelta(days=1))
            facts = list[Took]()
            clocked(held, facts)
            ready, nights = _week(held, told, today)
            rows = took(lambda: held.held(told))
            compared += check(
                workspace, settings, held, told, today + timedelta(days=1 + 2 * NIGHTS)
            )
        return {
            "state": state, "ingested": ingested, "ready": ready, "nights": nights,
            "facts": facts, "rows": rows, "accounts": len(told), "cells": compared,
            "each": [np.percentile([t[i] for t in each], [50, 99]).tolist() for i in (0, 1)],
        }  # fmt: skip

    return work


def _ingested(
    workspace: Workspace, settings: Settings, held: Resident, told: list[str], day: date
) -> Took:
    """The midnight after one more day was ingested, by somebody else: the rollups are stale."""
    from features.sources.ingest import ingest

    assert sum(counts.stored for counts in ingest(workspace, settings, base=workspace.root))
    return took(lambda: held.rows(told, day))


def _week(held: Resident, told: list[str], today: date) -> tuple[list[Took], list[Took]]:
    """A week of midnights: only the state, so that any row can be asked for; then with all rows."""
    each = [today + timedelta(days=2 + night) for night in range(2 * NIGHTS)]
    ready = [took(lambda d=d: held.rows([], d)) for d in each[:NIGHTS]]  # type: ignore[misc]
    return ready, [took(lambda d=d: held.rows(told, d)) for d in each[NIGHTS:]]  # type: ignore[misc]


def clocked(held: Resident, into: list[Took]) -> None:
    """Note what the facts take from now on."""
    work = held.known.facts

    def facts(*given: Any, **named: Any) -> Any:
        answer: list[Any] = []
        into.append(took(lambda: answer.append(work(*given, **named))))
        return answer[0]

    held.known.facts = facts  # type: ignore[method-assign]


def cold_step(workspace: Workspace, threads: int, size: Size) -> Callable[[], dict[str, Any]]:
    """What a process that does nothing else takes for its imports and the first row."""

    def work() -> dict[str, Any]:
        started = time.process_time()
        with closing(Resident(workspace, settings_for(threads))) as held:
            held.rows([], size.end.date())
            assert held.state is not None
            first = took(lambda: held.held(held.state.told.accounts[:1]))  # type: ignore[union-attr]
        return {"imports": started, "first": first}

    return work


def settings_for(threads: int) -> Settings:
    """The settings of the benchmarks' company."""
    return company_settings(training={"threads": threads}, engine={"memory": "4GB"})


def took(work: Callable[[], object]) -> Took:
    """What some work takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def check(
    workspace: Workspace, settings: Settings, held: Resident, told: list[str], day: date
) -> int:
    """Compare every cell of a day with a build's; returns how many. SystemExit names the others."""
    import pandas as pd

    from features.build import build

    asked = pd.DataFrame({"account_id": told, "as_of": pd.Timestamp(day)})
    built = build(workspace, settings, asked, out=workspace.tmp / "built.parquet")
    mine = workspace.tmp / "resident.parquet"
    held.held(told).to_pandas().to_parquet(mine)
    found = differences(built, mine)
    if found:
        raise SystemExit("rows from memory are not those of a build: " + "; ".join(found))
    return len(told) * len(held.features)


def differences(built: Path, mine: Path) -> list[str]:
    """The features that two files do not agree in, to the bit."""
    import pandas as pd

    one, other = pd.read_parquet(built), pd.read_parquet(mine)
    key = ["account_id", "as_of"]
    one, other = (f.sort_values(key, ignore_index=True) for f in (one, other))
    return [name for name in one if not one[name].equals(other[name])]
