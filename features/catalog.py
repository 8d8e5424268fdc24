"""Every feature, declared once: name, meaning, unit, CBI part, what a rise in it means.

SQL, documentation, the wording of reasons and the contract of a model all derive from the
declarations in `features.signals`. Which features exist depends on the settings: without
notifications there is no click rate.
"""

from collections.abc import Callable, Iterator

from features.declare import Catalogue, Declared, Feature, Signal
from features.errors import SettingsError
from features.settings import Settings
from features.signals import change, commerce, people, use

CBI_PARTS = ("frequency", "time", "use cases", "breadth", "notifications")
GROUPS = {
    "frequency": "How often: the CBI part *frequency*",
    "time": "How long: the CBI part *time*",
    "use cases": "Which core use cases: the CBI part *use cases*",
    "breadth": "How broadly: the CBI part *breadth*",
    "notifications": "How responsive to in-product messages: the CBI part *notifications*",
    "CBI": "The Customer Behavior Index",
    "people": "People",
    "limits": "Limits",
    "commercial": "Commercial",
    "support": "Support and sentiment",
    "journeys": "Journeys",
    "change": "Change: against the own past, the season, the peers",
    "company": "Profile and company",
}
"""The groups of the catalogue, in the order in which they are documented."""
Declaration = Callable[[Settings], Iterator[Declared]]
DECLARATIONS: tuple[Declaration, ...] = (
    use.frequency,
    use.time,
    use.use_cases,
    use.breadth,
    use.notifications,
    people.people,
    people.champion,
    people.seats,
    people.limits,
    commerce.listed_events,
    commerce.commercial,
    commerce.support,
    commerce.sentiment,
    commerce.journeys,
    commerce.company,
    change.change,
    change.value_gap,
    change.cbi,
    change.each_event,
)


def catalogue(settings: Settings) -> Catalogue:
    """The features that the settings allow.

    Raises SettingsError when two event names give one feature name.
    """
    signals: dict[str, Signal] = {}
    features: list[Feature] = []
    for declare in DECLARATIONS:
        for its_signal, its_features in declare(settings):
            signals[its_signal.name] = its_signal
            features.extend(its_features)
    names = [f.name for f in features]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise SettingsError(
            f"two events whose features would both be called '{twice[0]}'",
            do="Map one of them to another event name in its source.",
        )
    return Catalogue(tuple(features), signals)
