"""The made-up words of the synthetic company: nobody's name, no real firm meant."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words(
    "Amber Birch Cedar Cobalt Copper Coral Crimson Dapple Drift Ember Fable Fern Flint Frost "
    "Garnet Hazel Heather Indigo Ivory Jasper Juniper Kestrel Lark Linden Lumen Maple Marsh "
    "Meadow Mica Moss Nettle Oaken Ochre Onyx Opal Otter Pebble Pine Quartz Quill Raven Reed "
    "Ripple Rowan Russet Saffron Sage Slate Sorrel Sparrow Spruce Tansy Teal Thistle Timber "
    "Umber Velvet Willow Wren Yarrow"
)
SECOND = _words(
    "anchor bay bridge brook cliff corner crest croft dale den fall field ford forge gate glen "
    "grove harbour haven hill hollow lane light loft mark mill mount orchard path peak pier "
    "point pond quay ridge rock run shore spring stead stone stream track vale view wall ware "
    "water way well wharf wick wood works yard"
)
KIND = ("Labs", "Works", "Group", "Partners", "Systems", "Supply", "Studio", "Foods", "Media")

INDUSTRIES = ("software", "retail", "manufacturing", "health", "education", "finance", "agency")
INDUSTRY_SHARES = (0.24, 0.17, 0.14, 0.11, 0.10, 0.11, 0.13)
INDUSTRY_FIT = (0.6, -0.2, 0.0, -0.3, -0.6, 0.2, 0.4)

# Country, share of sign-ups, hours ahead of UTC.
COUNTRIES = ("US", "GB", "DE", "FR", "CA", "IN", "BR", "AU")
COUNTRY_SHARES = (0.36, 0.13, 0.13, 0.09, 0.08, 0.09, 0.07, 0.05)
COUNTRY_HOURS = (-6, 0, 1, 1, -5, 5, -3, 10)

CHANNELS = ("organic", "ads", "referral", "partner", "sales")
CHANNEL_SHARES = (0.38, 0.28, 0.16, 0.09, 0.09)
CHANNEL_FIT = (0.0, -0.5, 0.5, 0.3, 0.4)

OWNERS = tuple(f"cs-{number}" for number in range(1, 7))
ROLES = ("member", "member", "member", "viewer", "admin")
