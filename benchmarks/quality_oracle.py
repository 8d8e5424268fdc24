"""How much of what can be known at all our models know: their share of the oracle's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks.quality_figures import drawn, shares
from benchmarks.quality_worlds import END, Company, Study, World
from benchmarks.rivals.exchange import log_odds
from features.simulate.oracle import oracle
from training.dataset import Floats
from training.evaluate import Bootstrap, Figure, figure
from training.split import Days

AIMS = {"churn": (0.87, 0.62), "upgrade": (0.94, 0.83), "pql": (0.90, 0.73)}
"""What ρ and R are aimed at, 30 days ahead, on 6,000 accounts."""


KEYS = ["account_id", "as_of"]
SEED = 7


@dataclass(frozen=True)
class Share:
    """One outcome of one company: its test rows, both AUCs, ρ and R with their intervals.

    `expected`: ρ and R without the luck of what happened: each row is a positive to the part that
    the oracle says, so that only which accounts there are is left to chance.
    """

    outcome: str
    seed: int
    rows: int
    positives: int
    ours: Figure
    oracle: Figure
    calibration: float
    rho: Figure
    gain: Figure
    expected: tuple[float, float]


def shares_of(one: World, studies: Sequence[Study], dates: int, futures: int) -> list[Share]:
    """The share of each outcome of one company, on so many of the days that all of them test.

    The oracle's futures cost time by the day, so not every test day is asked for.
    """
    tested = [set(study.test.as_of) for study in studies]
    days = spread(np.array(sorted(set.intersection(*tested))), dates)
    told = truth(one.company, days, studies[0].task.timing.horizon_days, futures)
    return [share_of(one, study, days, told) for study in studies]


def share_of(one: World, study: Study, days: Days, told: pd.DataFrame) -> Share:
    """Compare our scores with the true probabilities on the same rows."""
    true = looked_up(told, study.rows[study.split.test], study.task.outcome.name)
    here = np.isin(study.test.as_of, days)
    if lacking := int(np.isnan(true[here]).sum()):
        raise SystemExit(f"the oracle does not know {lacking} of {int(here.sum())} rows")
    test, true = study.test.take(here), true[here]
    sample = Bootstrap.of(test.account, study.settings.training.bootstrap, SEED)
    constant = np.full(len(test.y), log_odds(np.array([study.prevalence]))[0])
    said = (study.margins[here], log_odds(true), constant)
    happened = [drawn(margin, test, sample) for margin in said]
    expected = [drawn(margin, replace(test, y=true), sample) for margin in said]
    rho, gain = shares(*happened)
    return Share(
        outcome=study.task.outcome.name,
        seed=one.company.seed,
        rows=len(test.y),
        positives=int(test.y.sum()),
        ours=figure(happened[0].auc),
        oracle=figure(happened[1].auc),
        calibration=float(test.y.sum() / true.sum()),
        rho=figure(rho),
        gain=figure(gain),
        expected=tuple(float(draws[0]) for draws in shares(*expected)),
    )


def spread(days: Days, count: int) -> Days:
    """So many of the days, evenly spread, each once; all of them where there are no more.

    >>> spread(np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]"), 2).astype(str).tolist()
    ['2024-01-03', '2024-01-08']
    """
    every = np.unique(days)
    places = ((np.arange(count) + 0.5) * len(every) / count).astype(int)
    return every if len(every) <= count else every[places]


def truth(company: Company, days: Days, horizon: int, futures: int) -> pd.DataFrame:
    """The true probability of every outcome on these days, by rolled-out futures of the company."""
    return oracle(
        accounts=company.accounts, days=company.days, seed=company.seed, end=END,
        on=[day.astype("datetime64[D]").item() for day in days],
        horizons=(horizon,), futures=futures,
    )  # fmt: skip


def looked_up(told: pd.DataFrame, rows: pd.DataFrame, name: str) -> Floats:
    """The true probability of each row; NaN where the oracle was not asked of it."""
    of_it = told[(told["outcome"] == name) & (told["lead_days"] == 0)]
    true = of_it.assign(as_of=pd.to_datetime(of_it["as_of"]))
    asked = rows[KEYS].assign(as_of=pd.to_datetime(rows["as_of"]))
    found = asked.merge(true[[*KEYS, "probability"]], on=KEYS, how="left")["probability"]
    return found.to_numpy(dtype=np.float64)


def table(found: Sequence[Share]) -> str:
    """Every company's figures, then each outcome's mean beside its aim."""
    lines = [
        "| outcome | seed | rows | positives | AUC ours | AUC oracle | observed ÷ its | ρ | R "
        "| expected ρ | expected R |",
        "|---|---:|---:|---:|---|---|---:|---|---|---:|---:|",
    ]
    for s in found:
        lines.append(
            f"| {s.outcome} | {s.seed} | {s.rows:,} | {s.positives:,} | {s.ours} | {s.oracle} | "
            f"{s.calibration:.2f} | {s.rho} | {s.gain} | "
            f"{s.expected[0]:.3f} | {s.expected[1]:.3f} |"
        )
    return "\n".join([*lines, "", *_means(found)])


def _means(found: Sequence[Share]) -> list[str]:
    lines = ["| outcome | companies | ρ: mean (least to most) | aim | reached "
             "| R: mean (least to most) | aim | reached |",
             "|---|---:|---|---:|---|---|---:|---|"]  # fmt: skip
    for name in dict.fromkeys(share.outcome for share in found):
        mine = [share for share in found if share.outcome == name]
        cells = [name, str(len(mine))]
        for values, aim in zip(
            ([s.rho.value for s in mine], [s.gain.value for s in mine]), AIMS[name], strict=True
        ):
            mean = float(np.mean(values))
            cells += [f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})", f"{aim:.2f}"]
            cells.append("yes" if mean >= aim else "no")
        lines.append("| " + " | ".join(cells) + " |")
    return lines
