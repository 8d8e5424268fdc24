"""The application in this process, asked over ASGI: a real app, ledger and state, no socket."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from test_serving_world import authorization, served

from features.workspace import Workspace
from serving.api.app import create_app
from serving.api.backing import Backing
from serving.api.problems import Problem
from serving.ledger.database import opened
from serving.models.model import load_bundle, promoted
from serving.scoring.accounts import current_snapshot, load_snapshot
from serving.scoring.scorer import bind
from serving.state import State


def state_of(workspace: Workspace) -> State:
    """What is promoted, on the accounts that were scored last."""
    snapshot = load_snapshot(current_snapshot(workspace))
    folders = promoted(workspace)
    scorers = {name: bind(load_bundle(folder), snapshot) for name, folder in folders.items()}
    return State(snapshot, scorers, {})


class Asked:
    """One application and one state after another."""

    def __init__(self, workspace: Workspace, *scopes: str) -> None:
        self.workspace, self.state = workspace, state_of(workspace)
        self.ledger = opened(workspace)
        self.headers = authorization(*scopes, root=Path(workspace.root))
        self.app = create_app(Backing(lambda: self.state, self.ledger, workspace))

    def renew(self) -> None:
        """What is promoted and scored by now."""
        self.state = state_of(self.workspace)

    def ask(self, method: str, address: str, **more: Any) -> httpx.Response:
        """One request."""

        async def one() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://here", headers=self.headers
            ) as client:
                return await client.request(method, address, **more)

        return asyncio.run(one())

    def get(self, address: str, **params: Any) -> Any:
        """The body of a good answer."""
        answer = self.ask("GET", address, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, address: str, status: int = 200, **body: Any) -> Any:
        """The body of a good answer."""
        answer = self.ask("POST", address, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def refused(self, status: int, kind: str, method: str, address: str, **more: Any) -> Problem:
        """The problem that an answer tells."""
        answer = self.ask(method, address, **more)
        assert answer.status_code == status, answer.text
        problem = Problem.model_validate_json(answer.content)
        assert problem.type == f"urn:goldpan:problem:{kind}"
        return problem


def of_the_world(*scopes: str) -> Asked:
    """The world that the serving tests share."""
    return Asked(served().workspace, *(scopes or ("score", "read", "events")))
