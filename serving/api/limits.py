"""How much one key and one process take: a token bucket for each key, and requests in flight."""

import math
import os
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from features.errors import InputError
from serving.api.problems import ProblemError

# 600 a second for each key and worker, 1,200 at once: a CRM at 100 a second never meets it.
RATE, BURST, IN_FLIGHT = 600.0, 1200, 128
MOST_BUCKETS = 10_000


@dataclass
class Bucket:
    """What one key may still ask: filled at `rate` a second up to `burst`."""

    tokens: float
    filled_at: float

    def take(self, now: float, rate: float, burst: int) -> bool:
        """Take one if there is one.

        >>> bucket = Bucket(1.0, 0.0)
        >>> [bucket.take(now, rate=2, burst=4) for now in (0.0, 0.1, 0.6)]
        [True, False, True]
        """
        self.tokens = min(burst, self.tokens + (now - self.filled_at) * rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Limits:
    """The limits of one process."""

    rate: float = RATE
    burst: int = BURST
    most_in_flight: int = IN_FLIGHT
    in_flight: int = 0
    buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def asked(self, whose: str) -> dict[str, str]:
        """Count a request; the headers that tell what is left. ProblemError beyond the limit."""
        now = time.monotonic()
        bucket = self.buckets.setdefault(whose, Bucket(self.burst, now))
        self.buckets.move_to_end(whose)
        if len(self.buckets) > MOST_BUCKETS:
            self.buckets.popitem(last=False)
        taken = bucket.take(now, self.rate, self.burst)
        headers = self._told(bucket)
        if taken:
            return headers
        wait = max(1, math.ceil((1 - bucket.tokens) / self.rate))
        raise ProblemError(
            "rate-limited",
            f"Found more than {self.burst} requests at once or {self.rate:g} a second; try again "
            f"in {wait} s.",
            expected=f"at most {self.rate:g} requests a second",
            headers={**headers, "retry-after": str(wait)},
        )

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """One more request being answered; ProblemError when there are too many."""
        if self.in_flight >= self.most_in_flight:
            detail = f"{self.in_flight} requests are being answered. Try again in a second."
            raise ProblemError("overloaded", detail, headers={"retry-after": "1"})
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def _told(self, bucket: Bucket) -> dict[str, str]:
        """`RateLimit` and its policy as the IETF's draft has them, and the headers of old."""
        left = int(bucket.tokens)
        full_in = math.ceil((self.burst - bucket.tokens) / self.rate)
        window = max(1, math.ceil(self.burst / self.rate))
        return {
            "ratelimit-policy": f'"key";q={self.burst};w={window}',
            "ratelimit": f'"key";r={left};t={full_in}',
            "ratelimit-limit": str(self.burst),
            "ratelimit-remaining": str(left),
            "ratelimit-reset": str(full_in),
        }


def limits_of(environment: Mapping[str, str] = os.environ) -> Limits:
    """The limits that the environment names; InputError for what is no number above nought.

    >>> limits_of({"GOLDPAN_RATE": "50"})
    Limits(rate=50.0, burst=1200, most_in_flight=128, in_flight=0, buckets=OrderedDict())
    """
    return Limits(
        float(_number(environment, "GOLDPAN_RATE", RATE)),
        int(_number(environment, "GOLDPAN_BURST", BURST)),
        int(_number(environment, "GOLDPAN_IN_FLIGHT", IN_FLIGHT)),
    )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (1 <= value < math.inf):
        raise InputError(f"{name}={text}", expected="a number of 1 or more")
    return value
