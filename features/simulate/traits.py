"""Who the accounts are: what is fixed about each from the day it signs up."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.simulate import words
from features.simulate.offer import ADOPTABLE, DAY_US, Flags, Floats, Ints

INTERNAL_SHARE = 0.005


@dataclass(frozen=True)
class Traits:
    """One entry per account, ordered by sign-up; the lower half is hidden from the data."""

    created: Ints  # microseconds after the first midnight
    industry: Ints
    country: Ints
    channel: Ints
    owner: Ints
    internal: Flags
    employees: Floats
    potential: Ints  # people who might use it: the account's user slots
    first_slot: Ints
    fit: Floats
    spirit: Floats  # how engaged it is by nature
    volume: Floats  # how much work one engaged day is, in logs: says nothing of the future
    frailty: Floats
    thrift: Floats
    card_risk: Floats
    affinity: Floats  # accounts x adoptable features

    @property
    def day(self) -> Ints:
        """The day of sign-up, counted from the first."""
        return self.created // DAY_US

    @cached_property
    def zest(self) -> Floats:
        """Accounts x adoptable features: how much more than others it uses each."""
        return np.asarray(np.exp(0.4 * self.affinity))

    @cached_property
    def leaning(self) -> Floats:
        """Accounts x adoptable features: how readily it takes each up."""
        return np.asarray(np.exp(0.8 * self.affinity))

    def __len__(self) -> int:
        """How many accounts there are."""
        return len(self.created)


def draw_traits(accounts: int, days: int, growth: float, rng: np.random.Generator) -> Traits:
    """Draw `accounts` that sign up over `days` at a rate that grows by e^`growth`."""
    industry = rng.choice(len(words.INDUSTRIES), accounts, p=words.INDUSTRY_SHARES)
    channel = rng.choice(len(words.CHANNELS), accounts, p=words.CHANNEL_SHARES)
    employees = np.round(np.exp(rng.normal(3.7, 1.2, accounts))).clip(2, 9000)
    potential = _potential(employees, rng)
    fit = np.array(words.INDUSTRY_FIT)[industry] + np.array(words.CHANNEL_FIT)[channel]
    fit += np.where((employees > 15) & (employees < 150), 0.5, -0.35)
    return Traits(
        created=_sign_ups(accounts, days, growth, rng),
        industry=industry,
        country=rng.choice(len(words.COUNTRIES), accounts, p=words.COUNTRY_SHARES),
        channel=channel,
        owner=rng.integers(0, len(words.OWNERS), accounts),
        internal=rng.random(accounts) < INTERNAL_SHARE,
        employees=employees,
        potential=potential,
        first_slot=np.cumsum(potential) - potential,
        fit=fit + rng.normal(0, 0.3, accounts),
        spirit=rng.normal(0, 0.45, accounts),
        volume=rng.normal(0, 0.5, accounts),
        frailty=rng.normal(0, 0.55, accounts),
        thrift=rng.normal(0, 1, accounts),
        card_risk=rng.normal(0, 0.8, accounts),
        affinity=rng.normal(0, 0.9, (accounts, len(ADOPTABLE))),
    )


def _potential(employees: Floats, rng: np.random.Generator) -> Ints:
    size = 1.6 * employees**0.5 * np.exp(rng.normal(0, 0.5, len(employees)))
    return size.clip(2, 60).astype(np.int64)


def _sign_ups(accounts: int, days: int, growth: float, rng: np.random.Generator) -> Ints:
    """Times of sign-up whose rate grows by e^`growth` from the first day to the last."""
    share = np.sort(np.log1p(rng.random(accounts) * np.expm1(growth)) / growth)
    return (share * (days * DAY_US - 1)).astype(np.int64)
