"""How long each page of the console takes: `python -m benchmarks.console --workspace …`.

The workspace's accounts are repeated until there are `--accounts` of them; pages are asked of the
application itself, so that no browser and no network is in the figures. `--people 100` then lets so
many people work at once in a real service on the workspace as it is.
"""

import argparse
import asyncio
import itertools
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    "insights": "/console/insights",
    "SHAP of a queue": "/console/shap/churn",
    "export of prospects": "/console/export/prospects.csv",
}
WORK = ("/console", "/console?q={letter}&grade=A", "/console?page=2", "{account}",
        "{account}&if.use=3", "/console/prospects", "/console/upgrades?sort=mrr",
        "/console/models/churn")  # fmt: skip
"""What somebody opens one after another; `{account}` is one that the queue listed."""
SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), ready=lambda url: print(url, flush=True))
"""


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


Taken = list[tuple[float, float]]


async def timed(state: State, workspace: Workspace, times: int) -> dict[str, Taken]:
    """Page → milliseconds of each of so many requests, and those of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = opened(Workspace(Path(folder)))
        user = users.add(ledger, "bench", "viewer", users.generated())
        token = sessions.begin(ledger, user)
        transport = httpx.ASGITransport(app=create_app(Backing(lambda: state, ledger, workspace)))
        assert state.snapshot is not None
        churn = state.scorers["churn"]
        account = quote(state.snapshot.table.ids[int(np.flatnonzero(~np.isnan(churn.chances))[0])])
        places = PLACES | {
            "an account": f"/console/accounts/{account}?model=churn",
            "SHAP of an account": f"/console/shap/churn/{account}",
        }
        async with httpx.AsyncClient(
            transport=transport, base_url="http://bench", cookies={COOKIE: token},
            headers={"accept": "text/html"}, timeout=300,
        ) as client:  # fmt: skip
            await client.get("/console")
            return {name: await _asked(client, place, times) for name, place in places.items()}


async def _asked(client: httpx.AsyncClient, place: str, times: int) -> Taken:
    taken = []
    for _ in range(times):
        begin, worked = time.perf_counter(), time.process_time()
        answer = await client.get(place)
        spent = time.perf_counter() - begin, time.process_time() - worked
        taken.append((1000 * spent[0], 1000 * spent[1]))
        assert answer.status_code == 200, f"{place}: {answer.status_code}"
    return taken


async def crowd(url: str, tokens: list[str], rounds: int) -> tuple[list[float], list[str]]:
    """Milliseconds of each request of so many people, and what went wrong."""
    taken: list[float] = []
    wrong: list[str] = []

    async def person(number: int, token: str) -> None:
        chance = random.Random(number)  # noqa: S311 - which accounts somebody opens
        async with httpx.AsyncClient(base_url=url, cookies={COOKIE: token}, timeout=120,
                                     headers={"accept": "text/html"}) as client:  # fmt: skip
            account = "/console"
            for place in itertools.chain.from_iterable([WORK] * rounds):
                await asyncio.sleep(chance.uniform(0.2, 3.0))  # people read
                asked = place.format(letter=chance.choice("aeiou"), account=account)
                begin = time.perf_counter()
                try:
                    answer = await client.get(asked)
                except httpx.HTTPError as error:
                    wrong.append(f"{asked}: {error!r}")
                    continue
                taken.append(1000 * (time.perf_counter() - begin))
                if answer.status_code != 200:
                    wrong.append(f"{asked}: {answer.status_code}")
                links = re.findall(r'class="row-link" href="([^"]+)"', answer.text)
                account = chance.choice(links).replace("&amp;", "&") if links else account

    await asyncio.gather(*(person(n, token) for n, token in enumerate(tokens)))
    return taken, wrong


@contextmanager
def served(workspace: Workspace, port: int) -> Iterator[str]:
    """The real service on a workspace."""
    command = [sys.executable, "-c", SERVE, str(workspace.root), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def people(workspace: Workspace, count: int, port: int) -> None:
    """Let so many people work at once, and print what they met."""
    ledger = opened(workspace)
    user = users.find(ledger, "bench") or users.add(ledger, "bench", "viewer", users.generated())
    tokens = [sessions.begin(ledger, user) for _ in range(count)]
    with served(workspace, port) as url:
        taken, wrong = asyncio.run(crowd(url, tokens, 3))
    spread = statistics.quantiles(taken, n=20)
    print(f"\n{count} people at once: {len(taken)} pages, {len(wrong)} errors; median "
          f"{statistics.median(taken):.0f} ms, 95 in 100 within {spread[-1]:.0f} ms")  # fmt: skip
    print("\n".join(wrong[:10]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--accounts", type=int, default=6000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--people", type=int, default=0)
    parser.add_argument("--port", type=int, default=3199)
    asked = parser.parse_args()
    workspace = Workspace(asked.workspace)
    keeper = Keeper(workspace)
    keeper.look()
    state = repeated(keeper.state, asked.accounts)
    begin = time.perf_counter()
    desk(state)
    print(f"queues of {asked.accounts} accounts made once: {time.perf_counter() - begin:.1f} s\n")
    print("| page | median ms | of the processor | slowest ms |\n|---|---|---|---|")
    for name, taken in asyncio.run(timed(state, workspace, asked.times)).items():
        waited, worked = zip(*taken, strict=True)
        print(f"| {name} | {statistics.median(waited):.0f} | {statistics.median(worked):.0f} "
              f"| {max(waited):.0f} |")  # fmt: skip
    if asked.people:
        people(workspace, asked.people, asked.port)


if __name__ == "__main__":
    main()
