"""The simulated companies that quality is measured on: made once, kept in a folder."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from features.catalog import catalogue
from features.code import digest
from features.read_settings import load_settings
from features.settings import Settings
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.table import refresh
from features.workspace import Workspace
from training.dataset import Dataset, Floats
from training.fitting.calibrate import margins
from training.fitting.fit import Fitted, fit
from training.observations import History, grid, read_history
from training.outcomes import OUTCOMES, chosen
from training.prepare import Task, feature_table, prepare
from training.split import Split

SETTINGS = Path(__file__).parent.parent / "goldpan.toml"
END = date(2026, 6, 30)
DONE = "quality.json"


@dataclass(frozen=True)
class Company:
    """What decides a simulated company, to the last event."""

    accounts: int
    days: int
    seed: int


@dataclass(frozen=True)
class Study:
    """One outcome of one company, learnt by our job's own steps."""

    task: Task
    settings: Settings
    seconds: float
    fitted: Fitted

    @cached_property
    def rows(self) -> pd.DataFrame:
        """account_id, as_of and label of every observation, in the order of `task.data`."""
        return self.task.rows.reset_index(drop=True).assign(label=self.task.data.y.astype(int))

    @property
    def split(self) -> Split:
        """Our split in time."""
        return self.task.split

    @cached_property
    def test(self) -> Dataset:
        """The rows that everybody is judged on."""
        return self.task.data.take(self.split.test)

    @cached_property
    def margins(self) -> Floats:
        """Our log-odds on the test rows."""
        return margins(self.fitted.booster, self.test.X, self.settings.training.threads)

    @property
    def prevalence(self) -> float:
        """The share of positives among the rows of the final fit: what a constant would say."""
        return float(self.task.data.y[self.split.fit].mean())

    @property
    def open_until(self) -> np.datetime64:
        """The last day whose window ends before the test begins: later labels are not yet known."""
        first = self.task.data.as_of[self.split.test].min()
        return np.datetime64(first, "D") - np.timedelta64(self.split.gap_days, "D")


@dataclass(frozen=True)
class World:
    """One company with its features and what became of its accounts.

    `company`: what decides it; None where it was not simulated by us.
    """

    workspace: Workspace
    settings: Settings
    company: Company | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """The feature table."""
        return feature_table(self.workspace)

    @cached_property
    def history(self) -> History:
        """The accounts and their commercial life."""
        return read_history(self.workspace, self.settings)

    def study(self, name: str) -> Study:
        """Learn one outcome as `goldpan train` does. Raises RefusedError where it cannot be."""
        task = self.task(name)
        started = perf_counter()
        fitted = fit(task.data, task.split, self.settings.training)
        seconds = perf_counter() - started
        return Study(task, self.settings, seconds, fitted)

    def task(self, name: str) -> Task:
        """The observations, labels, split and matrix of one outcome."""
        timing, features = chosen(self.settings, [name])[name], catalogue(self.settings)
        return prepare(self.settings, features, name, timing, self.table, self.history)


def settings_of(threads: int, horizon: int, resamples: int) -> Settings:
    """The sample company's settings with one horizon for every outcome, and no lead."""
    given = load_settings(SETTINGS)
    when = {"lead_days": 0, "horizon_days": horizon}
    timings = {name: t.model_copy(update=when) for name, t in chosen(given, None).items()}
    outcomes = given.outcomes.model_copy(update=timings)
    fitting = given.training.model_copy(update={"threads": threads, "bootstrap": resamples})
    return given.model_copy(update={"outcomes": outcomes, "training": fitting})


def world(folder: Path, company: Company, settings: Settings, said: Callable[[str], None]) -> World:
    """Simulate, ingest and build one company, unless it is there.

    One that other settings or other code made is made again.
    """
    horizon = chosen(settings, OUTCOMES)["churn"].horizon_days
    name = f"{company.accounts}-{company.days}-{company.seed}-{horizon}"
    place, note = Workspace(folder / name), folder / name / DONE
    made_of = json.dumps({**asdict(company), "code": digest("features", beside=(SETTINGS,))})
    if not note.is_file() or note.read_text(encoding="utf-8") != made_of:
        started = perf_counter()
        shutil.rmtree(place.root, ignore_errors=True)
        simulate(place, accounts=company.accounts, days=company.days, seed=company.seed, end=END)
        ingest(place, settings, base=SETTINGS.parent)
        refresh(place, settings, grid(place, settings))
        note.write_text(made_of, encoding="utf-8")
        said(f"  company {company.seed}: made in {perf_counter() - started:.0f} s")
    return World(place, settings, company)
