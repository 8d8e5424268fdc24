"""`/v1/models`: the cards of the promoted models, their features, how fresh they are."""

import asyncio
import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.access import opens
from serving.api.answers import answered
from serving.api.backing import Backing
from serving.api.bodies.base import Name
from serving.api.bodies.models import ModelAnswer, ModelsAnswer
from serving.api.chosen import scorer_of, snapshot_of
from serving.api.problems import PROBLEMS
from serving.ledger.reviews import counts
from serving.scoring.known import known
from serving.scoring.scorer import Scorer
from serving.state import SERVICE, SNAPSHOT, State

DAY = 86_400.0
COVERS = (
    "95 times in 100 it holds how many of all accounts with the same score have the outcome, as "
    "far as the test period tells. It does not cover a world that has changed since, nor tell "
    "which of these accounts have it."
)


def routes(backing: Backing) -> APIRouter:
    """The list and the cards."""
    router = APIRouter()

    @router.get(
        "/v1/models", operation_id="listModels", response_model=ModelsAnswer,
        summary="The promoted models, and how fresh they are",
        responses=PROBLEMS, dependencies=opens("read"),
    )  # fmt: skip
    async def list_models(request: Request) -> Response:
        state = backing.state()
        snapshot = snapshot_of(state)
        told = [_summary(scorer) | _degraded(state, n) for n, scorer in state.scorers.items()]
        told += [
            {"model": name, "status": "failed", "detail": why}
            for name, why in state.failed.items()
            if name not in (SNAPSHOT, SERVICE)
        ]
        simulated = bool(snapshot.company["simulated"])
        return answered(request, {"simulated": simulated, "models": told})

    @router.get(
        "/v1/models/{model}", operation_id="getModel", response_model=ModelAnswer,
        summary="A model's card: what it foretells, how well, from what",
        responses=PROBLEMS, dependencies=opens("read"),
    )  # fmt: skip
    async def get_model(request: Request, model: Name) -> Response:
        scorer = scorer_of(backing.state(), model)
        said = await asyncio.to_thread(counts, backing.ledger, model)
        reviews = [
            known(model_version=version, agree=n["agree"], disagree=n["disagree"])
            for version, n in sorted(said.items(), key=lambda item: item[0] or "")
        ]
        return answered(request, {**card(scorer), "reviews": reviews})

    return router


def card(scorer: Scorer) -> dict[str, Any]:
    """What a reader of the model must know, as in a `ModelAnswer`."""
    model, told, snapshot = scorer.model, scorer.model.card, scorer.snapshot
    test = told.get("blocks", {}).get("test")
    return {
        "simulated": bool(snapshot.company["simulated"]),
        "model": model.name,
        "model_version": model.version,
        **known(title=told.get("title"), rows=told.get("rows")),
        **known(positives=told.get("positives")),
        "population": told["population"],
        "eligibility": told["eligibility"],
        "lead_days": told["lead_days"],
        "horizon_days": told["horizon_days"],
        "accounts": int(np.isfinite(scorer.chances).sum()),
        "freshness": _freshness(scorer),
        **({"test": _test(test)} if test else {}),
        "metrics": _metrics(told.get("metrics", {})),
        "baselines": [
            {"name": name, "metrics": _metrics(figures)}
            for name, figures in told.get("baselines", {}).items()
        ],
        **_band(told.get("interval")),
        **({"curve_days": list(model.when.days)} if model.when else {}),
        "features": _features(scorer),
    }


def _degraded(state: State, name: str) -> dict[str, str]:
    """That a model answers by an earlier version, because the promoted one could not be loaded."""
    if name not in state.kept:
        return {}
    return {"status": "degraded", "detail": state.kept[name]}


def _summary(scorer: Scorer) -> dict[str, Any]:
    told = scorer.model.card
    return known(
        model=scorer.model.name,
        status="ready",
        model_version=scorer.model.version,
        title=told.get("title"),
        population=told["population"],
        lead_days=told["lead_days"],
        horizon_days=told["horizon_days"],
        freshness=_freshness(scorer),
    )


def _freshness(scorer: Scorer) -> dict[str, Any]:
    as_of, told = scorer.snapshot.table.as_of, scorer.model.card
    morning = dt.datetime.fromisoformat(as_of).replace(tzinfo=dt.UTC)
    age = (dt.datetime.now(dt.UTC) - morning).total_seconds() / DAY
    return known(
        as_of=as_of,
        age_days=round(age, 3),
        snapshot=scorer.snapshot.version,
        trained_at=told.get("created_at"),
        learnt_until=told.get("cut_off"),
    )


def _test(block: Mapping[str, Any]) -> dict[str, Any]:
    counted = {name: block[name] for name in ("rows", "accounts", "positives")}
    return {"first": block["from"], "last": block["to"], **counted}


def _metrics(figures: Mapping[str, Mapping[str, float | None]]) -> list[dict[str, Any]]:
    told = [
        {"name": name}
        | {k: v for k, v in figure.items() if k in ("value", "low", "high") and _is_number(v)}
        for name, figure in figures.items()
    ]
    return [figure for figure in told if "value" in figure]


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _band(band: Mapping[str, Any] | None) -> dict[str, Any]:
    if not band:
        return {}
    names = ("level", "accounts", "accounts_with_outcome")
    return {"interval": {name: band[name] for name in names} | {"covers": COVERS}}


def _features(scorer: Scorer) -> list[dict[str, Any]]:
    snapshot = scorer.snapshot
    return [
        known(
            name=f.name,
            meaning=snapshot.meanings.get(f.name),
            unit=f.unit,
            signal=f.signal,
            label=snapshot.wordings[f.signal].label,
            kind=f.kind,
        )
        for f in scorer.model.features
    ]
