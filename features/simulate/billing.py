"""What an account pays, and the log of changes that it leaves behind."""

from dataclasses import dataclass, field

import numpy as np

from features.simulate.offer import (
    ANNUAL_DISCOUNT,
    DAY_US,
    FREE,
    NEVER,
    Flags,
    Floats,
    Ints,
    list_price,
)

STATUSES = ("trial", "active", "cancelled")
TRIAL, ACTIVE, CANCELLED = range(3)


@dataclass
class Contracts:
    """The commercial state of every account; days count from the first simulated day.

    `log` holds one tuple of arrays per batch of changes, in the order of `LOG`.
    """

    first_day: np.datetime64
    status: Ints  # NEVER before the first row
    plan: Ints
    seats: Ints
    months: Ints
    discount: Floats
    price: Floats  # the list that the present term was sold by, against the first day's
    term_end: Ints
    cancel_at: Ints
    paid_since: Ints
    failed_since: Ints
    number: Ints  # which subscription of the account
    ever_paid: Flags
    log: list[tuple[Ints | Floats, ...]] = field(default_factory=list)

    @property
    def paying(self) -> Flags:
        """Active on a plan that costs."""
        return np.asarray((self.status == ACTIVE) & (self.plan > FREE))

    @property
    def trial(self) -> Flags:
        """In its trial."""
        return np.asarray(self.status == TRIAL)

    @property
    def former(self) -> Flags:
        """Paid before, not now."""
        return np.asarray(self.ever_paid & ~self.paying)

    @property
    def prospect(self) -> Flags:
        """On trial or free, never paid."""
        return np.asarray(~self.ever_paid & (self.status != NEVER))

    @property
    def leaving(self) -> Flags:
        """A cancellation is announced and still to come."""
        return np.asarray(self.cancel_at != NEVER)


LOG = (
    "account",
    "number",
    "effective",
    "known",
    "status",
    "plan",
    "mrr",
    "seats",
    "months",
    "term_end",
    "discount",
)


def no_contracts(accounts: int, first_day: np.datetime64) -> Contracts:
    """Nobody has signed anything yet."""

    def all_of(value: int) -> Ints:
        return np.full(accounts, value, dtype=np.int64)

    return Contracts(
        first_day=first_day,
        status=all_of(NEVER),
        plan=all_of(FREE),
        seats=all_of(0),
        months=all_of(0),
        discount=np.zeros(accounts),
        price=np.ones(accounts),
        term_end=all_of(NEVER),
        cancel_at=all_of(NEVER),
        paid_since=all_of(NEVER),
        failed_since=all_of(NEVER),
        number=all_of(1),
        ever_paid=np.zeros(accounts, dtype=bool),
    )


def term_after(contracts: Contracts, days: Ints, months: Ints) -> Ints:
    """The day `months` calendar months after `days` (days after the 28th count as the 28th)."""
    dates = contracts.first_day + days.astype("timedelta64[D]")
    month = dates.astype("datetime64[M]")
    day_of_month = np.minimum((dates - month).astype(np.int64), 27)
    ends = (month + months.astype("timedelta64[M]")).astype("datetime64[D]")
    return np.asarray((ends - contracts.first_day).astype(np.int64) + day_of_month)


def write_rows(contracts: Contracts, who: Ints, effective: Ints) -> None:
    """Log the present state of the accounts `who`, from `effective` on (microseconds)."""
    _write(contracts, who, effective, effective, contracts.status[who])


def announce_end(contracts: Contracts, who: Ints, known: Ints) -> None:
    """Log today that the subscriptions of `who` will end with their terms."""
    contracts.failed_since[who] = NEVER
    contracts.cancel_at[who] = contracts.term_end[who]
    ends = contracts.term_end[who] * DAY_US
    _write(contracts, who, ends, known, np.full(len(who), CANCELLED))


def _write(c: Contracts, who: Ints, effective: Ints, known: Ints, status: Ints) -> None:
    if not len(who):
        return
    price = list_price(c.plan[who], c.seats[who], c.discount[who], c.price[who])
    mrr = np.where(status == ACTIVE, price, 0.0)
    start = (who, c.number[who], effective, known, status, c.plan[who], mrr)
    c.log.append((*start, c.seats[who], c.months[who], c.term_end[who], c.discount[who]))


def start_trial(contracts: Contracts, who: Ints, day: int, plan: int, length: int) -> None:
    """Put `who` on a trial of `plan` that ends after `length` days."""
    contracts.status[who], contracts.plan[who] = TRIAL, plan
    contracts.seats[who], contracts.term_end[who] = 5, day + length


def go_free(contracts: Contracts, who: Ints, seats: int) -> None:
    """Put `who` on the free plan."""
    contracts.status[who], contracts.plan[who] = ACTIVE, FREE
    contracts.seats[who], contracts.term_end[who] = seats, NEVER


def start_paying(
    contracts: Contracts, who: Ints, day: int, plan: Ints, seats: Ints, annual: Flags, price: float
) -> None:
    """Begin a paid term today by the list `price`; a former customer begins a new subscription."""
    contracts.price[who] = price
    contracts.number[who] += contracts.ever_paid[who]
    contracts.status[who], contracts.plan[who], contracts.seats[who] = ACTIVE, plan, seats
    contracts.months[who] = np.where(annual, 12, 1)
    contracts.discount[who] = np.where(annual, ANNUAL_DISCOUNT, 0.0)
    contracts.term_end[who] = term_after(contracts, np.full(len(who), day), contracts.months[who])
    contracts.paid_since[who], contracts.ever_paid[who] = day, True
    contracts.failed_since[who] = NEVER


def renew(contracts: Contracts, who: Ints, price: float) -> None:
    """Begin the next term of `who`, by the list `price`, on the day that the last one ends."""
    contracts.price[who] = price
    contracts.term_end[who] = term_after(contracts, contracts.term_end[who], contracts.months[who])


def end_now(contracts: Contracts, who: Ints) -> None:
    """The subscription of `who` is over."""
    contracts.status[who], contracts.cancel_at[who] = CANCELLED, NEVER
    contracts.failed_since[who] = NEVER
