"""The same feature matrix, our split: our learner against other people's."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pandas as pd

from benchmarks.quality_figures import Drawn, drawn, less, standing, verdict
from benchmarks.quality_worlds import Study
from benchmarks.rivals.environment import Rival, UnavailableError
from benchmarks.rivals.exchange import CALIBRATE, LEARN, TEST, TUNE, taken
from training.dataset import Floats, Mask
from training.evaluate import Bootstrap, figure
from training.fitting.calibrate import affine, margins
from training.fitting.fit import fit
from training.fitting.models import baselines
from training.fitting.tune import tune
from training.judging.assess import baseline_margins

OURS, UNTUNED = "Goldpan", "Goldpan, not tuned"
MARGIN = 1.5  # of the seconds that our fit takes, kept for the fit that follows a search
PARQUET = "pyarrow==24.0.0"
PANDAS = "pandas==2.3.3"
BOOSTERS = ("scikit-learn==1.9.1", "numpy==2.4.6", PANDAS, PARQUET)
RIVALS = (
    Rival("HistGradientBoosting", "hist_gradient"),
    Rival("LightGBM defaults", "lightgbm_defaults"),
    Rival("XGBoost", "xgboost_search", ("xgboost==3.2.0", *BOOSTERS)),
    Rival("CatBoost", "catboost_search", ("catboost==1.2.10", *BOOSTERS)),
    Rival("FLAML", "flaml_search", ("flaml[automl]==2.7.0", "lightgbm==4.7.0", *BOOSTERS)),
    Rival(
        "AutoGluon medium", "autogluon_search",
        ("autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3", PANDAS, PARQUET),
        ("medium_quality",),
    ),
    Rival(
        "AutoGluon best", "autogluon_search",
        ("autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3", PANDAS, PARQUET),
        ("best_quality",),
    ),
)  # fmt: skip
OVERTIME = 4.0  # times its budget that a rival may take before it is ended
HELD_FOR_TUNING = 5  # where our protocol has no block to tune on: one account in so many


@dataclass(frozen=True)
class Entry:
    """What one learner said of the test rows (log-odds), in how many seconds, and how."""

    name: str
    margins: Floats
    seconds: float
    note: str


@dataclass(frozen=True)
class Contest:
    """All entries on one matrix, and who could not enter and why."""

    study: Study
    entries: tuple[Entry, ...]
    absent: tuple[tuple[str, str], ...]


def contest(
    study: Study, chosen: Collection[str], cache: Path, seconds: float, said: Callable[[str], None]
) -> Contest:
    """Let the chosen rivals learn from the matrix, each within the same seconds and threads."""
    entries = [tuned(study, seconds), *as_it_comes(study), *logistic(study)]
    for entry in entries:
        said(f"  {entry.name}: {entry.seconds:.0f} s, {entry.note}")
    absent = []
    with TemporaryDirectory() as folder:
        matrix = Path(folder) / "matrix.parquet"
        written(study).to_parquet(matrix)
        for rival in (r for r in RIVALS if r.name in chosen):
            try:
                entries.append(enter(study, rival, cache, matrix, seconds))
                said(f"  {rival.name}: {entries[-1].seconds:.0f} s, {entries[-1].note}")
            except UnavailableError as error:
                absent.append((rival.name, str(error)))
                said(f"  {rival.name}: LEFT OUT: {error}")
    return Contest(study, tuple(entries), tuple(absent))


def tuned(study: Study, seconds: float) -> Entry:
    """Ours as `goldpan train --tune` makes it, search and fit together within the seconds."""
    data, split, training = study.task.data, study.split, study.settings.training
    started = perf_counter()
    left = max(0.0, seconds - MARGIN * study.seconds) / 60
    found = tune(data.take(split.fit), split.gap_days, training, left)
    if not found.changed:
        took = perf_counter() - started + study.seconds
        return Entry(OURS, study.margins, took, f"{found.decision}; {study.fitted.rounds} rounds")
    fitted = fit(data, split, training, found.changed)
    margin = margins(fitted.booster, study.test.X, training.threads)
    note = f"{found.decision}; {fitted.rounds} rounds"
    return Entry(OURS, margin, perf_counter() - started, note)


def as_it_comes(study: Study) -> list[Entry]:
    """Ours without a search."""
    note = f"nothing tuned; {study.fitted.rounds} rounds"
    return [Entry(UNTUNED, study.margins, study.seconds, note)]


def logistic(study: Study) -> list[Entry]:
    """Our baselines, fitted and calibrated on what the model was."""
    found = []
    for one in baselines(study.task.data, study.task.outcome, study.settings.training):
        started = perf_counter()
        margin = baseline_margins(one, study.task.data, study.split)
        found.append(Entry(one.name, margin, perf_counter() - started, "a baseline of ours"))
    return found


def parts(study: Study) -> np.ndarray:
    """What each row is for: a number of `exchange`, or -1 for rows in the gaps."""
    blocks, split = study.split.blocks, study.split
    part = np.full(len(study.task.data.y), -1, dtype=np.int8)
    if split.folded:
        tune = study.task.data.account % HELD_FOR_TUNING == 0
        part[split.fit] = np.where(tune[split.fit], TUNE, LEARN)
    else:
        part[blocks["train"]], part[blocks["tune"]] = LEARN, TUNE
        part[blocks["calibrate"]] = CALIBRATE
    part[split.test] = TEST
    return part


def written(study: Study) -> pd.DataFrame:
    """The matrix as `exchange` describes it."""
    data, part = study.task.data, parts(study)
    rows = pd.DataFrame(data.X, columns=data.names)
    more = {"_label": data.y, "_account": data.account, "_part": part}
    return pd.concat([rows, pd.DataFrame(more)], axis=1)[part >= 0]


def enter(study: Study, rival: Rival, cache: Path, matrix: Path, seconds: float) -> Entry:
    """One rival's entry, calibrated as ours is: on its scores of the calibration block."""
    out = matrix.with_name("scores.parquet")
    threads = study.settings.training.threads
    rival.run(cache, str(matrix), str(out), str(seconds), str(threads),
              threads=threads, limit=120 + OVERTIME * seconds)  # fmt: skip
    margin, told = taken(out)
    asked = parts(study)
    return Entry(
        rival.name, calibrated(margin, asked[asked >= CALIBRATE] == TEST, study),
        told["seconds"], told["note"],
    )  # fmt: skip


def calibrated(margin: Floats, test: Mask, study: Study) -> Floats:
    """Log-odds on the test rows, mapped as our own protocol maps them."""
    if study.split.folded:
        return margin[test]
    y = study.task.data.y[study.split.blocks["calibrate"]]
    return affine(margin[~test], y)(margin[test])


def table(found: Contest) -> str:
    """All entries by log loss, and whether ours is level with the best."""
    study, scores = found.study, resampled(found)
    lines = [headline(study), "", "| learner | log loss | ours less it | AUC | s | how |",
             "|---|---:|---|---|---:|---|"]  # fmt: skip
    by_loss = sorted(found.entries, key=lambda entry: float(scores[entry.name].log_loss[0]))
    for entry in by_loss:
        theirs = scores[entry.name]
        apart = less(scores[OURS].log_loss, theirs.log_loss)
        told = f"{apart.value:+.5f} ({apart.low:+.5f} to {apart.high:+.5f})"
        compared = "" if entry.name == OURS else f"{told}: {verdict(apart, higher_is_better=False)}"
        lines.append(
            f"| {entry.name} | {theirs.log_loss[0]:.5f} | {compared} | {figure(theirs.auc)} | "
            f"{entry.seconds:.0f} | {entry.note} |"
        )
    lines += [f"| {name} |  |  |  |  | left out: {why} |" for name, why in found.absent]
    return "\n".join([*lines, "", *(stands(name, scores) for name in (OURS, UNTUNED))])


def stands(ours: str, scores: dict[str, Drawn]) -> str:
    """Whether one entry of ours is level with the best of the others and itself, in a sentence."""
    others = {name: found for name, found in scores.items() if name not in (OURS, UNTUNED)}
    where = standing(ours, {**others, ours: scores[ours]})
    return (
        f"{ours} within one standard error of the best or better: "
        f"**{'yes' if where.level else 'no'}** (best: {where.best}; {ours} is {where.behind:.5f} "
        f"behind it, standard error {where.error:.5f}).  "
    )


def resampled(found: Contest) -> dict[str, Drawn]:
    """Every entry's figures, on the same resamples of accounts."""
    test = found.study.test
    sample = Bootstrap.of(test.account, found.study.settings.training.bootstrap, 7)
    return {entry.name: drawn(entry.margins, test, sample) for entry in found.entries}


def headline(study: Study) -> str:
    """What is learnt, from how much."""
    data, split = study.task.data, study.split
    return (
        f"`{study.task.outcome.name}`, {study.task.timing.horizon_days} days: fitted on "
        f"{int(split.fit.sum()):,} rows × {len(data.columns)} columns with "
        f"{int(data.y[split.fit].sum()):,} positives, judged on {len(study.test.y):,} rows with "
        f"{int(study.test.y.sum()):,} positives; {split.protocol}."
    )


def names(rivals: Sequence[Rival] = RIVALS) -> tuple[str, ...]:
    """The rivals' names."""
    return tuple(rival.name for rival in rivals)
