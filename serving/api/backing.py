"""What the routes answer from."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from features.workspace import Workspace
from serving.state import State


@dataclass(frozen=True)
class Backing:
    """`state` is asked once per request, so that a request sees one state."""

    state: Callable[[], State]
    ledger: Engine
    workspace: Workspace
