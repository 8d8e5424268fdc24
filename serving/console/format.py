"""Numbers and times as people read them; the exact value belongs in the title beside each."""

from datetime import UTC, date, datetime

from scipy.special import expit

SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def money(value: float, currency: str) -> str:
    r"""An amount to the whole unit; the currency's sign where everybody knows it.

    >>> money(18430.4, "USD"), money(932, "CHF"), money(-5, "EUR"), money(0.4, "USD")
    ('$18,430', 'CHF\u202f932', '−€5', '$0.40')
    """
    size = abs(value)
    digits = f"{size:,.2f}" if 0 < size < 1 else f"{size:,.0f}"
    sign = SIGNS.get(currency, f"{currency}{THIN}")
    return f"{MINUS if value < 0 else ''}{sign}{digits}"


def exact_money(value: float, currency: str) -> str:
    """An amount to the cent.

    >>> exact_money(18430.456, "USD")
    '18,430.46 USD'
    """
    return f"{value:,.2f} {currency}"


def percent(share: float) -> str:
    r"""A probability: one decimal under ten per cent, none above, never a false 0 or 100.

    >>> [percent(p) for p in (0.1359, 0.0412, 0.0004, 0.9999, 0.0, 1.0)]
    ['14\u202f%', '4.1\u202f%', '< 0.1\u202f%', '> 99\u202f%', '0\u202f%', '100\u202f%']
    """
    if 0 < share < 0.001:
        return f"< 0.1{THIN}%"
    if 0.99 < share < 1:
        return f"> 99{THIN}%"
    digits = 1 if 0 < share < 0.0995 else 0
    return f"{100 * share:.{digits}f}{THIN}%"


def exact(value: float) -> str:
    """Every digit of a number, as the model gave it.

    >>> exact(0.1 + 0.2)
    '0.30000000000000004'
    """
    return repr(float(value))


def chance(log_odds: float) -> float:
    """Log-odds as a probability.

    >>> chance(0.0)
    0.5
    """
    return float(expit(log_odds))


def points(share: float) -> str:
    """A difference of two probabilities in percentage points, with its sign.

    >>> points(0.0153), points(-0.104), points(0.0001)
    ('+1.5', '−10', '+0.0')
    """
    size = abs(100 * share)
    return f"{'+' if share >= 0 else MINUS}{size:.{0 if size >= 9.95 else 1}f}"


def signed(value: float) -> str:
    r"""A part of the log-odds with its sign, never a false zero.

    >>> signed(0.5), signed(-1.234), signed(0.001)
    ('+0.50', '−1.23', '+< 0.01')
    """
    size = f"{abs(value):.2f}" if abs(value) >= 0.005 or not value else "< 0.01"
    return f"{MINUS if value < 0 else '+' if value else ''}{size}"


def whole(count: float) -> str:
    """A count with its thousands apart.

    >>> whole(12345)
    '12,345'
    """
    return f"{count:,.0f}"


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> plural(1, "account"), plural(1200, "account"), plural(2, "company", "companies")
    ('1 account', '1,200 accounts', '2 companies')
    """
    return f"{whole(count)} {one if count == 1 else many or one + 's'}"


def ordinal(place: int) -> str:
    """A place in an order.

    >>> [ordinal(n) for n in (1, 2, 3, 11, 23, 1112)]
    ['1st', '2nd', '3rd', '11th', '23rd', '1,112th']
    """
    teens = 11 <= place % 100 <= 13
    ending = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{whole(place)}{ending}"


def day(value: date) -> str:
    """A date without doubt about what is the month.

    >>> day(date(2026, 7, 1))
    '1 Jul 2026'
    """
    return f"{value.day} {value:%b %Y}"


def days(first: date, last: date) -> str:
    """A span of days, the year said once where there is only one.

    >>> days(date(2025, 11, 3), date(2025, 12, 8)), days(date(2025, 12, 15), date(2026, 1, 19))
    ('3 Nov – 8 Dec 2025', '15 Dec 2025 – 19 Jan 2026')
    """
    begin = f"{first.day} {first:%b}" if first.year == last.year else day(first)
    return f"{begin} – {day(last)}"


def in_days(days: int) -> str:
    """How far a day is from another, before or after it.

    >>> [in_days(n) for n in (0, 1, -1, 12, -45, 90, 800)]
    ['today', 'tomorrow', 'yesterday', 'in 12 days', '45 days ago', 'in 3 months', 'in 2 years']
    """
    if abs(days) <= 1:
        return {0: "today", 1: "tomorrow", -1: "yesterday"}[days]
    text = span(abs(days))
    return f"in {text}" if days > 0 else f"{text} ago"


def span(days: int) -> str:
    """A number of days in the unit that people would use.

    >>> span(1), span(59), span(100), span(800)
    ('1 day', '59 days', '3 months', '2 years')
    """
    if days < 60:
        return plural(days, "day")
    return plural(round(days / 30.4), "month") if days < 720 else plural(round(days / 365), "year")


def ago(then: datetime, now: datetime | None = None) -> str:
    """How long ago an instant was.

    >>> noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    >>> [ago(noon, noon.replace(day=d, hour=h, minute=30)) for d, h in ((1, 12), (1, 15), (4, 12))]
    ['30 minutes ago', '3 hours ago', '3 days ago']
    """
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{plural(int(seconds // 60), 'minute')} ago"
    if seconds < 86400:
        return f"{plural(int(seconds // 3600), 'hour')} ago"
    return in_days(-int(seconds // 86400))


def instant(value: datetime) -> str:
    """A time to the minute, in UTC.

    >>> instant(datetime(2026, 7, 1, 3, 5, tzinfo=UTC))
    '1 Jul 2026, 03:05 UTC'
    """
    return f"{day(value)}, {value.astimezone(UTC):%H:%M} UTC"
