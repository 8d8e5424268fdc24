"""How long each page of the console takes: `python -m benchmarks.console --workspace …`.

The workspace's accounts are repeated until there are `--accounts` of them; pages are asked of the
application itself, so that no browser and no network is in the figures.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import httpx
import numpy as np

from features.workspace import Workspace
from serving.api.app import create_app
from serving.api.backing import Backing
from serving.console.access import COOKIE
from serving.console.views.desk import desk
from serving.ledger import sessions, users
from serving.ledger.database import opened
from serving.models.swap import Keeper
from serving.scoring.scorer import bind
from serving.state import State

PLACES = {
    "at risk": "/console",
    "at risk, searched": "/console?q=a&grade=A&grade=B&sort=renewal",
    "prospects": "/console/prospects",
    "upgrades": "/console/upgrades",
    "models": "/console/models",
    "a model": "/console/models/churn",
    "export of prospects": "/console/export/prospects.csv",
}


def repeated(state: State, accounts: int) -> State:
    """The state with its accounts repeated under other ids."""
    assert state.snapshot is not None
    table = state.snapshot.table
    times = -(-accounts // len(table.ids))
    ids = tuple(f"{account}_{n}" if n else account for n in range(times) for account in table.ids)
    more = replace(
        table, ids=ids[:accounts], matrix=np.tile(table.matrix, (times, 1))[:accounts],
        contexts=(table.contexts * times)[:accounts], mrr=np.tile(table.mrr, times)[:accounts],
        term_ends=(table.term_ends * times)[:accounts],
    )  # fmt: skip
    profiles = (state.snapshot.profiles * times)[:accounts]
    snapshot = replace(state.snapshot, table=more, profiles=profiles)
    scorers = {name: bind(scorer.model, snapshot) for name, scorer in state.scorers.items()}
    return State(snapshot, MappingProxyType(scorers), MappingProxyType({}))


async def timed(state: State, workspace: Workspace, times: int) -> dict[str, list[float]]:
    """Page → milliseconds of each of so many requests."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = opened(Workspace(Path(folder)))
        user = users.add(ledger, "bench", "viewer", users.generated())
        token = sessions.begin(ledger, user)
        transport = httpx.ASGITransport(app=create_app(Backing(lambda: state, ledger, workspace)))
        assert state.snapshot is not None
        account = quote(state.snapshot.table.ids[0])
        places = PLACES | {"an account": f"/console/accounts/{account}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://bench", cookies={COOKIE: token},
            headers={"accept": "text/html"}, timeout=300,
        ) as client:  # fmt: skip
            await client.get("/console")
            return {name: await _asked(client, place, times) for name, place in places.items()}


async def _asked(client: httpx.AsyncClient, place: str, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        answer = await client.get(place)
        taken.append(1000 * (time.perf_counter() - begin))
        assert answer.status_code == 200, f"{place}: {answer.status_code}"
    return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--accounts", type=int, default=6000)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    workspace = Workspace(asked.workspace)
    keeper = Keeper(workspace)
    keeper.look()
    state = repeated(keeper.state, asked.accounts)
    begin = time.perf_counter()
    desk(state)
    print(f"queues of {asked.accounts} accounts made once: {time.perf_counter() - begin:.1f} s\n")
    print("| page | median ms | slowest ms |\n|---|---|---|")
    for name, taken in asyncio.run(timed(state, workspace, asked.times)).items():
        print(f"| {name} | {statistics.median(taken):.0f} | {max(taken):.0f} |")


if __name__ == "__main__":
    main()
