"""The service's figures for Prometheus, summed over its workers.

Labels are templates of routes, statuses and models, of which there are few; never an account, a
user or an address. Workers share the folder that `PROMETHEUS_MULTIPROC_DIR` names; without it one
process tells of itself.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.api.exchange import Exchange

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
MEDIA_TYPE = CONTENT_TYPE_LATEST
if FOLDER in os.environ:
    Path(os.environ[FOLDER]).mkdir(parents=True, exist_ok=True)
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

REQUESTS = Counter("goldpan_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram("goldpan_request_seconds", "Seconds to answer.", ["route"], buckets=BUCKETS)
ANSWERS = Counter("goldpan_model_answers", "Requests a model answered.", ["model", "version"])
IN_FLIGHT = Gauge(
    "goldpan_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum"
)


def count(exchange: Exchange) -> None:
    """Count a request that has ended."""
    route = exchange.route
    REQUESTS.labels(exchange.method, route, str(exchange.status)).inc()
    SECONDS.labels(route).observe(exchange.seconds)
    for model, version in exchange.state.get("models", {}).items():
        ANSWERS.labels(model, version).inc()


@contextmanager
def under_way() -> Iterator[None]:
    """A request that is being answered."""
    IN_FLIGHT.inc()
    try:
        yield
    finally:
        IN_FLIGHT.dec()


def exposed() -> bytes:
    """Every worker's figures, summed, in Prometheus's text."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    forget_the_dead(Path(os.environ[FOLDER]))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def forget_the_dead(folder: Path) -> None:
    """What ended workers had under way is over; what they counted stays counted."""
    for file in folder.glob("gauge_live*_*.db"):
        worker = file.stem.rpartition("_")[2]
        if not Path(f"/proc/{worker}").exists() and Path("/proc/self").exists():
            mark_process_dead(int(worker), str(folder))
