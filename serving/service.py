"""The BentoML service: one process with the promoted models, answering over HTTP.

`GOLDPAN_WORKSPACE` names the workspace. BentoML starts, watches and stops the worker processes;
all answers come from the one application of `serving/api/app.py`.
"""

import gc
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # BentoML 1.4 itself uses what pathspec and pydantic have deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from bentoml import service as bentoml_service

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

WORKERS = int(os.environ.get("GOLDPAN_WORKERS", "1"))
NOT_FOR_SERVING = ("dask", "joblib", "matplotlib", "mlflow", "pandas", "shap", "sklearn")


class Surface:
    """Answers every HTTP request by our application; all else goes on to BentoML.

    A mount would not do: BentoML's own /metrics, /schema.json, /livez and /readyz stand before
    any mount, and its 404 has another shape than our errors.
    """

    application: Application | None = None

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass one connection on."""
        ours = Surface.application if scope["type"] == "http" else None
        await (ours or self.app)(scope, receive, send)


@bentoml_service(
    name="goldpan",
    workers=WORKERS,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    monitoring={"enabled": False},
)
class Scoring:
    """Loads what was promoted when the worker starts; the supervisor only reads the class."""

    def __init__(self) -> None:
        # Imported here because the supervisor imports this module and needs none of it.
        with without(NOT_FOR_SERVING):
            from features.workspace import Workspace
            from serving.api.app import create_app
            from serving.api.backing import Backing
            from serving.intake.watched import Watched
            from serving.ledger.database import connected, url_of
            from serving.state import load_state

            workspace = Workspace(Path(os.environ["GOLDPAN_WORKSPACE"]))
            self.state = load_state(workspace)
            ledger = connected(url_of(workspace))
        state = Watched(lambda: self.state, workspace)
        Surface.application = create_app(Backing(state, ledger, workspace))
        # What is loaded lives as long as the process: full collections need not walk it.
        gc.collect()
        gc.freeze()


Scoring.add_asgi_middleware(Surface)  # type: ignore[attr-defined] # the decorator made it a service


@contextmanager
def without(names: tuple[str, ...]) -> Iterator[None]:
    """Hide installed packages from imports made inside the block.

    LightGBM and pyarrow import scikit-learn and pandas whenever they find them (1.5 s, 100 MB)
    and do without when they do not; what is loaded already is left alone.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
