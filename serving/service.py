"""The BentoML service: one process with the promoted models, answering over HTTP.

`GOLDPAN_WORKSPACE` names the workspace. BentoML starts, watches and stops the worker processes;
all answers come from the one application of `serving/api/app.py`.
"""

import os
import sys
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # BentoML 1.4 itself uses what pathspec and pydantic have deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from bentoml import on_deployment, on_shutdown, on_startup
    from bentoml import service as bentoml_service

from serving.api import logs, protocol
from serving.lean import without

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

WORKERS = int(os.environ.get("GOLDPAN_WORKERS", "1"))
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    # Spans would be made and thrown away: half of the framework's time.
    "OTEL_SDK_DISABLED": "true",
}


class Surface:
    """Answers every HTTP request by our application; all else goes on to BentoML.

    A mount would not do: BentoML's own /metrics, /schema.json, /livez and /readyz stand before
    any mount, and its 404 has another shape than our errors. Nor would a middleware alone: spans,
    a timer and a context would come before it, which cost as much as the rest of the answer.
    """

    application: Application | None = None

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass one connection on; as the process starts, step before BentoML's middleware."""
        if scope["type"] == "lifespan" and not isinstance(scope["app"].middleware_stack, Surface):
            scope["app"].middleware_stack = Surface(scope["app"].middleware_stack)
        ours = Surface.application if scope["type"] == "http" else None
        await (ours or self.app)(scope, receive, send)


@bentoml_service(
    name="goldpan",
    workers=WORKERS,
    envs=[
        {"name": "GOLDPAN_WORKSPACE"},
        *({"name": name, "value": value} for name, value in SETTINGS.items()),
    ],
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    monitoring={"enabled": False},
)
class Scoring:
    """Loads what was promoted when the worker starts; the supervisor only reads the class."""

    def __init__(self) -> None:
        logs.configure()
        # Imported here because the supervisor imports this module and needs none of it.
        with logs.told_why(), without():
            import lightgbm  # noqa: F401 - so that it is not first imported outside this block

            from features.workspace import Workspace
            from serving.api.app import create_app
            from serving.api.backing import Backing
            from serving.intake.watched import Watched
            from serving.ledger.database import connected, url_of
            from serving.models.swap import Keeper

            workspace = Workspace(Path(os.environ["GOLDPAN_WORKSPACE"]))
            self.keeper = Keeper(workspace)
            self.keeper.look()
            state = Watched(lambda: self.keeper.state, workspace)
            backing = Backing(state, connected(url_of(workspace)), workspace)
            Surface.application = create_app(backing)

    @on_deployment
    @staticmethod
    def prepare() -> None:
        """Bring the ledger to the present tables, once before any worker starts."""
        if "GOLDPAN_PREPARED" not in os.environ:  # `goldpan serve` has done it
            from features.workspace import Workspace
            from serving.ledger.database import opened

            opened(Workspace(Path(os.environ["GOLDPAN_WORKSPACE"]))).dispose()

    @on_startup
    def watch(self) -> None:
        """Take over what is promoted and scored from now on."""
        self.keeper.start()

    @on_shutdown
    def end(self) -> None:
        """Take over nothing more."""
        self.keeper.stop()


protocol.install()
if "bentoml_cli.serve" in sys.modules:
    logs.configure()  # the supervisor's own lines are of the same form
Scoring.add_asgi_middleware(Surface)  # type: ignore[attr-defined] # the decorator made it a service
