"""What people call an event of a product: `api_called` is said as "API calls".

A company's own words come first (`[words]` in the settings). Otherwise a name of a thing and what
was done to it becomes a plural: "reports created", "dashboard views", and so does the name of a
thing alone: "replies". What bears a number is said to be used: "uses of feature 38".
"""

import re
from collections.abc import Mapping

SAID_LARGE = (
    "AI", "API", "APIs", "B2B", "CLI", "CRM", "CSS", "CSV", "DNS", "ERP", "FAQ", "FTP", "GIF",
    "GPS", "HR", "HTML", "HTTP", "ID", "IP", "JPG", "JSON", "KPI", "LDAP", "LLM", "MFA", "NPS",
    "OAuth", "OCR", "OKR", "PDF", "PNG", "QR", "RSS", "SaaS", "SCIM", "SDK", "SFTP", "SLA", "SMS",
    "SQL", "SSH", "SSO", "SVG", "UI", "URL", "UX", "VPN", "XLSX", "XML", "YAML", "ZIP", "2FA",
)  # fmt: skip
ACRONYMS = {name.lower(): name for name in SAID_LARGE}
COUNTED = {
    "called": "calls", "clicked": "clicks", "downloaded": "downloads", "played": "plays",
    "ran": "runs", "run": "runs", "searched": "searches", "synced": "syncs",
    "uploaded": "uploads", "used": "uses", "viewed": "views", "visited": "visits",
}  # fmt: skip
"""A deed that has a noun: one counts the views of a dashboard, not the dashboards."""
DONE = {
    "add": "added", "archive": "archived", "assign": "assigned", "build": "built",
    "complete": "completed", "create": "created", "delete": "deleted", "edit": "edited",
    "export": "exported", "import": "imported", "invite": "invited", "make": "made",
    "publish": "published", "remove": "removed", "save": "saved", "send": "sent",
    "share": "shared", "submit": "submitted", "update": "updated", "call": "called",
    "click": "clicked", "download": "downloaded", "play": "played", "run": "run",
    "search": "searched", "sync": "synced", "upload": "uploaded", "use": "used",
    "view": "viewed", "visit": "visited", "open": "opened", "start": "started",
    "close": "closed", "rate": "rated", "watch": "watched", "win": "won",
}  # fmt: skip
"""Deeds as names of events begin with them, and as they are told afterwards."""
IRREGULAR = {"bought", "built", "done", "held", "made", "paid", "read", "sent", "set", "won"}
OF_WHAT_KIND = {"at", "by", "for", "from", "in", "into", "of", "on", "to", "via", "with"}
NO_PARTICIPLES = {"feed", "embed", "need", "seed", "speed"}


def event_words(event: str, own: Mapping[str, str]) -> str:
    """What people call an event, as a plural, small unless it is a name; `own` wins.

    >>> event_words("api_called", {}), event_words("Report Created", {})
    ('API calls', 'reports created')
    >>> event_words("exportCSV", {}), event_words("reply", {}), event_words("feature_38", {})
    ('CSVs exported', 'replies', 'uses of feature 38')
    >>> event_words("ev_17", {"ev_17": "Boards drawn"})
    'Boards drawn'
    """
    if event in own:
        return own[event]
    words = split(event)
    if not words:
        return f"uses of {event.strip() or 'an event without a name'}"
    thing, deed = _thing_and_deed(words)
    if not thing or any(word.isdigit() or word in OF_WHAT_KIND for word in thing):
        return f"uses of {' '.join(words)}"
    if deed in COUNTED:
        return " ".join([*thing, COUNTED[deed]])
    return " ".join([*thing[:-1], plural(thing[-1]), deed]).strip()


def split(event: str) -> list[str]:
    """The words of a name, small but for acronyms.

    >>> split("PDF_exportedViaURL")
    ['PDF', 'exported', 'via', 'URL']
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", event)
    return [ACRONYMS.get(w.lower(), w.lower()) for w in re.findall(r"[^\W_]+", apart)]


def plural(noun: str) -> str:
    """More than one of a thing.

    >>> plural("report"), plural("reply"), plural("search"), plural("API"), plural("settings")
    ('reports', 'replies', 'searches', 'APIs', 'settings')
    """
    if noun in ACRONYMS.values():
        return noun if noun.endswith("s") else f"{noun}s"
    if noun.endswith("s") and not noun.endswith("ss"):
        return noun
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(ss|x|z|ch|sh)$", noun) else f"{noun}s"


def capital(text: str) -> str:
    """The first letter large, the others as they are.

    >>> capital("reports created"), capital("API calls")
    ('Reports created', 'API calls')
    """
    return text[:1].upper() + text[1:]


def _thing_and_deed(words: list[str]) -> tuple[list[str], str]:
    """What was dealt with and what was done, wherever the deed stands; "" where none is seen."""
    first, last = words[0], words[-1]
    if _is_done(last):
        return words[:-1], last
    if first in DONE and len(words) > 1:
        return words[1:], DONE[first]
    if _is_done(first) and len(words) > 1:
        return words[1:], first
    return words, ""


def _is_done(word: str) -> bool:
    """Whether a word says that something was done."""
    regular = len(word) > 4 and word.endswith("ed") and word not in NO_PARTICIPLES
    return regular or word in COUNTED or word in IRREGULAR
