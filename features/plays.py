"""What to do about a reason: a suggestion for each outcome and signal, the company's own first.

`[plays.churn]` and its like in the settings name a signal or a group of the catalogue; a signal's
own play goes before that of its group, the settings' before ours.
"""

from difflib import get_close_matches

from features.catalog import GROUPS, catalogue
from features.errors import SettingsError
from features.settings import OUTCOMES, Settings

ASK = "Call them: ask what changed, and book a session on their main use case"
SHOW = "Show what the next plan adds to what they use most"
ASK_MORE = "Ask what they still miss, and show it in their own account"
OURS: dict[str, dict[str, str]] = {
    "churn": {
        **dict.fromkeys(GROUPS, ASK),
        "use cases": "Walk them through the core use case that they do less of",
        "breadth": "Show them a feature that accounts like theirs rely on",
        "notifications": "Reach them outside the product: call or write to the champion",
        "people": "Find a second champion, and offer to onboard the others",
        "limits": "Go through seats and limits with them before they renew",
        "commercial": "Talk about what they get for the price before they renew",
        "support": "Ask whether their tickets were solved",
        "open_tickets": "Bring their tickets to an end, and tell them so yourself",
        "answers": "See that their tickets are answered sooner, and tell them so",
        "journeys": "Take them to the next milestone that they have not reached",
        "champion": "Reach the champion; if they left, find who took over",
        **dict.fromkeys(("nps", "csat"), "Ask what they would change, and answer them"),
        "failed_payments": "Ask for a means of payment that works",
        "seat_use": "Help them bring the empty seats to use, or offer fewer",
    },
    "upgrade": {
        **dict.fromkeys(GROUPS, SHOW),
        "people": "Offer seats for the people who join",
        "limits": "Offer the next plan before they reach the limit",
        "commercial": "Talk about the plans that they looked at",
        "support": "Offer the plan with the support that they need",
    },
    "pql": {
        **dict.fromkeys(GROUPS, ASK_MORE),
        "people": "Invite the team: offer to onboard all of them at once",
        "limits": "Offer a plan with more room",
        "commercial": "Talk about the plan that they looked at",
        "journeys": "Take them to their next milestone",
        "support": "Solve what they asked for, then talk about a plan",
    },
}


def plays(settings: Settings) -> dict[str, dict[str, str]]:
    """Outcome → signal → what to do, for every signal that somebody can act on."""
    declared = catalogue(settings)
    group_of = {f.signal: f.group for f in declared.features}
    acted = [name for name, signal in declared.signals.items() if signal.kind == "act"]
    found = {}
    for outcome in OUTCOMES:
        ours, own = OURS[outcome], getattr(settings.plays, outcome)
        said = {name: _first(name, group_of[name], own, ours) for name in acted}
        found[outcome] = {name: text for name, text in said.items() if text}
    return found


def _first(signal: str, group: str, own: dict[str, str], ours: dict[str, str]) -> str:
    places = ((own, signal), (own, group), (ours, signal), (ours, group))
    return next((of[name] for of, name in places if name in of), "")


def check_plays(settings: Settings) -> None:
    """Raise SettingsError for a play of what is neither a signal nor a group, naming those."""
    named = [(o, name) for o in OUTCOMES for name in getattr(settings.plays, o)]
    if not named:
        return
    known = [*catalogue(settings).signals, *GROUPS]
    for outcome, name in named:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean '{near[0]}'? " if near else ""
            raise SettingsError(
                f"a play for '{name}' in plays.{outcome}, which is no signal and no group",
                expected=f"a signal ({', '.join(sorted(set(known) - {*GROUPS}))}) or a group "
                f"({', '.join(GROUPS)})",
                do=f"{hint}Correct the name.",
            )
