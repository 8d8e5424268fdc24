"""The model's card: what it predicts, for whom, from which data, how well, and what was done."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import expit

from features.declare import Catalogue
from features.provenance import meaning
from features.settings import Outcome as Timing
from features.settings import Settings
from training.dataset import Dataset
from training.evaluate import Figure
from training.fitting.band import band
from training.fitting.calibrate import contributions
from training.fitting.fit import Fitted
from training.judging.assess import Assessment
from training.judging.backtested import CutOffFigures
from training.judging.calibrated import bins, told
from training.judging.seen import seen
from training.outcomes import Outcome, in_words
from training.records.origin import settings_hash
from training.split import Split


def card(
    outcome: Outcome,
    timing: Timing,
    data: Dataset,
    split: Split,
    fitted: Fitted,
    assessment: Assessment,
    settings: Settings,
    catalogue: Catalogue,
) -> dict[str, Any]:
    """Everything a reader of the model must know; `version` is added when it is registered."""
    margin, test = assessment.margins["model"], data.take(split.test)
    return {
        "name": outcome.name,
        "outcome": outcome.name,
        "title": outcome.title,
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "company": settings.company.name,
        "simulated": settings.company.simulated,
        "lead_days": timing.lead_days,
        "horizon_days": timing.horizon_days,
        "population": outcome.population,
        "eligibility": in_words(outcome, timing),
        "grades": settings.grades.model_dump(),
        "capacity": settings.training.capacity,
        "currency": settings.company.currency,
        "catalogue": catalogue.hash(),
        "meaning": meaning(settings),
        "settings_hash": settings_hash(settings),
        **_data(data, split),
        **_figures(assessment),
        **_fitting(split, fitted, data),
        "calibration": {
            "slope": fitted.calibration.slope,
            "intercept": fitted.calibration.intercept,
            "bins": told(bins(expit(margin), test.y)),
        },
        "interval": band(margin, test, settings.training.bootstrap, settings.training.seed),
        "reference_quantiles": quantiles(expit(margin)),
        "seen": seen(data.X[split.fit], data.columns, _used(fitted)),
    }


def _used(fitted: Fitted) -> list[int]:
    """The columns that the model splits on."""
    return [int(i) for i in np.flatnonzero(fitted.booster.feature_importance("split"))]


def quantiles(probabilities: np.ndarray) -> list[float]:
    """The probabilities at the percentiles 0 to 100.

    >>> quantiles(np.array([0.0, 1.0]))[50]
    0.5
    """
    return [float(q) for q in np.percentile(probabilities, np.arange(101))]


def numbers(figures: Mapping[str, Figure]) -> dict[str, dict[str, float | None]]:
    """Figures as plain numbers; None where one does not exist."""
    return {
        name: {k: v if math.isfinite(v) else None for k, v in figure.as_dict().items()}
        for name, figure in figures.items()
    }


def _data(data: Dataset, split: Split) -> dict[str, Any]:
    fit, test = data.take(split.fit), data.as_of[split.test]
    return {
        "cut_off": str(fit.as_of.max()),
        "test": {"from": str(test.min()), "to": str(test.max())},
        "rows": len(fit.y),
        "accounts": len(np.unique(fit.account)),
        "positives": int(fit.y.sum()),
        "prevalence": float(fit.y.mean()),
        "blocks": {name: _block(data.take(rows)) for name, rows in split.blocks.items()},
    }


def _block(block: Dataset) -> dict[str, Any]:
    return {
        "from": str(block.as_of.min()),
        "to": str(block.as_of.max()),
        "rows": len(block.y),
        "accounts": len(np.unique(block.account)),
        "positives": int(block.y.sum()),
    }


def _figures(assessment: Assessment) -> dict[str, Any]:
    return {
        "metrics": numbers(assessment.figures),
        "baselines": {n: numbers(f) for n, f in assessment.baselines.items()},
        "differences": {n: numbers(f) for n, f in assessment.differences.items()},
        "slices": numbers(assessment.slices),
        "backtest": [_cut_off(cut) for cut in assessment.backtest],
        "agreement": asdict(assessment.agreement) if assessment.agreement else None,
        "leaks": [
            {"feature": leak.feature, "evidence": leak.evidence, "alarm": leak.alarm}
            for leak in assessment.leaks
        ],
    }


def _cut_off(cut: CutOffFigures) -> dict[str, Any]:
    groups = {"model": cut.figures, **cut.baselines}
    parts = {"seen": cut.seen, "unseen": cut.unseen}
    return {
        "learnt_until": cut.until,
        "learnt_positives": cut.learnt_positives,
        "test": {"from": cut.first, "to": cut.last},
        "rows": cut.rows,
        "positives": cut.positives,
        "metrics": {name: numbers(figures) for name, figures in groups.items()},
        "auc_of_accounts": numbers({name: auc for name, auc in parts.items() if auc}),
    }


def _fitting(split: Split, fitted: Fitted, data: Dataset) -> dict[str, Any]:
    bias = contributions(fitted.booster, data.X[:1], threads=1)[0, -1]
    return {
        "protocol": split.protocol,
        "gap_days": split.gap_days,
        "rounds": fitted.rounds,
        "base_log_odds": float(bias),
    }
