"""Which part of a queue is asked for, in which order: read from the address, written into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

GRADES = ("A", "B", "C", "D")
SIZES = {"1-10": (1, 10), "11-50": (11, 50), "51-200": (51, 200), "201": (201, None)}
RENEWALS = (14, 30, 60, 90)
MOVES = {"up": "rose in a week", "down": "fell in a week"}
SORTS = ("expected", "probability", "movement", "mrr", "renewal", "name")
PER_PAGE = 50
MOST_LETTERS = 200


@dataclass(frozen=True)
class Asked:
    """What a person asked of a queue; what was not asked is empty, and absent from the address."""

    q: str = ""
    plan: str = ""
    owner: str = ""
    grade: tuple[str, ...] = ()
    reason: str = ""
    size: str = ""
    renewal: int = 0
    moved: str = ""
    new: bool = False
    sort: str = ""
    page: int = 1

    @property
    def filtered(self) -> bool:
        """Whether anything but the order and the page was asked."""
        return replace(self, sort="", page=1) != Asked()

    def address(self, place: str, **changes: object) -> str:
        """The address of this part of a queue, or of one that differs in some fields.

        >>> Asked(grade=("A", "B"), page=3).address("/console", q="ann", page=1)
        '/console?q=ann&grade=A&grade=B'
        """
        there = replace(self, **changes)  # type: ignore[arg-type] # fields by name
        given = {k: v for k, v in vars(there).items() if v != getattr(Asked, k, ())}
        return f"{place}?{urlencode(given, doseq=True)}" if given else place


def asked(query: Sequence[tuple[str, str]]) -> Asked:
    """What the address asks for; what means nothing is as if it were not there.

    >>> asked([("q", "ann"), ("grade", "A"), ("grade", "Z"), ("page", "x"), ("renewal", "30")])
    Asked(q='ann', plan='', owner='', grade=('A',), reason='', size='', renewal=30, moved='', new=False, sort='', page=1)
    """  # noqa: E501 - the doctest's answer is one line
    last = dict(query)
    grades = {value for name, value in query if name == "grade"}
    return Asked(
        q=_text(last, "q"),
        plan=_text(last, "plan"),
        owner=_text(last, "owner"),
        grade=tuple(g for g in GRADES if g in grades),
        reason=_text(last, "reason"),
        size=_one_of(last.get("size", ""), SIZES),
        renewal=_number(last.get("renewal", ""), RENEWALS),
        moved=_one_of(last.get("moved", ""), MOVES),
        new=last.get("new") == "True",
        sort=_one_of(last.get("sort", ""), SORTS),
        page=_number(last.get("page", ""), range(1, 100_000)) or 1,
    )


def _text(given: Mapping[str, str], name: str) -> str:
    return given.get(name, "").strip()[:MOST_LETTERS]


def _one_of(value: str, known: Sequence[str] | Mapping[str, object]) -> str:
    return value if value in known else ""


def _number(value: str, known: Sequence[int]) -> int:
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0
    return number if number in known else 0
