"""What befalls all accounts alike: the calendar, incidents, our prices, the competitors' pull.

Each world draws its own, so that two worlds differ in more than their accounts.
"""

from dataclasses import dataclass

import numpy as np

from features.simulate.offer import (
    ADOPTABLE,
    API,
    AUTOMATION,
    EXPORTS,
    INTEGRATION,
    SHARING,
    TEMPLATES,
    Flags,
    Floats,
)

AREAS = ("core", "reports", "automation", "integrations")
CORE = 0
AREA_FEATURES = ((), (SHARING, EXPORTS), (AUTOMATION, TEMPLATES), (INTEGRATION, API))
EXPOSED = np.array([[f in area for area in AREA_FEATURES] for f in range(len(ADOPTABLE))])
LASTS = 0.4  # chance that an incident goes on for another day
BEYOND = 190  # days after the last that futures may reach
PRICE_RISES_AT = 0.62  # of the time
WEEKDAYS = np.array([1.12, 1.18, 1.15, 1.1, 0.95, 0.22, 0.2])


@dataclass(frozen=True)
class Weather:
    """One day of it; `incidents` is areas, or accounts x areas where each has its own fate."""

    pace: float
    incidents: Flags
    price: float
    rival: float
    appetite: Floats


@dataclass(frozen=True)
class Climate:
    """By day from the first, `BEYOND` the last; what is not by day is this world's own.

    `pace`: the share of a usual day's work. `price`: against the first day's list. `rival`: the
    competitors' pull in log-odds, drifting slowly. `appetite`: how much readier than elsewhere
    accounts are to buy, to buy more and to leave, in log-odds. `growth`: of the rate of sign-ups
    from the first day to the last, in logs.
    """

    pace: Floats
    incidents: Flags
    price: Floats
    rival: Floats
    appetite: Floats
    incident_rate: Floats
    growth: float

    def on(self, day: int) -> Weather:
        """What happened on that day."""
        return self._with(day, self.incidents[day])

    def might_be(self, day: int, before: Flags, rng: np.random.Generator) -> Weather:
        """That day with incidents nobody can foresee, after those of the day `before`."""
        return self._with(day, _next(before, self.incident_rate, rng))

    def _with(self, day: int, incidents: Flags) -> Weather:
        price, rival = float(self.price[day]), float(self.rival[day])
        return Weather(float(self.pace[day]), incidents, price, rival, self.appetite)


def draw_climate(days: int, first_day: np.datetime64, rng: np.random.Generator) -> Climate:
    """Draw a world's climate for `days` days and `BEYOND`."""
    rate = 0.006 * np.exp(rng.normal(0, 0.3, len(AREAS)))
    span, season = days + BEYOND, rng.uniform(0.1, 0.2)
    rise, drift, phase = rng.uniform(0.08, 0.18), rng.uniform(0.02, 0.12), rng.uniform(0, 6.28)
    day = np.arange(span)
    return Climate(
        pace=_paces(first_day, span, season),
        incidents=_incidents(span, rate, rng),
        price=np.where(day >= PRICE_RISES_AT * days, 1 + rise, 1.0),
        rival=drift * (day - days / 2) / 365 + 0.05 * np.sin(day / 60 + phase),
        appetite=rng.normal(0, 0.1, 3),
        incident_rate=rate,
        growth=float(rng.uniform(0.5, 0.8)),
    )


def struck(weather: Weather, usable: Flags) -> Floats:
    """How many of today's incidents each account feels: the core's, and of areas that it uses."""
    felt = usable @ EXPOSED
    felt[:, CORE] = True
    return np.asarray((felt & weather.incidents).sum(axis=1).astype(np.float64))


def _incidents(days: int, rate: Floats, rng: np.random.Generator) -> Flags:
    found = np.zeros((days, len(AREAS)), dtype=bool)
    for day in range(1, days):
        found[day] = _next(found[day - 1], rate, rng)
    return found


def _next(before: Flags, rate: Floats, rng: np.random.Generator) -> Flags:
    return np.asarray(rng.random(before.shape) < np.where(before, LASTS, rate))


def _paces(first_day: np.datetime64, days: int, season: float) -> Floats:
    """The share of a usual day's work, by weekday and season."""
    date_ = first_day + np.arange(days)
    weekday = (date_.astype(np.int64) + 3) % 7
    of_year = (date_ - date_.astype("datetime64[Y]")).astype(np.int64)
    turn = np.where((of_year >= 357) | (of_year <= 1), 0.35, 1.0)
    summer = 1 - season * np.exp(-(((of_year - 218) / 25.0) ** 2))
    return np.asarray(WEEKDAYS[weekday] * turn * summer)
