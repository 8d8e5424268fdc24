"""The contract: the five tables that every source is mapped to, and what each row must satisfy."""

from dataclasses import dataclass

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Column:
    """One column of a contract table: its Arrow type and whether a row may leave it out."""

    name: str
    type: pa.DataType
    required: bool
    meaning: str


@dataclass(frozen=True)
class Table:
    """One contract table; `time` is the column that says when a row's fact begins."""

    name: str
    time: str
    columns: tuple[Column, ...]

    def schema(self) -> pa.Schema:
        """The Arrow schema of the table in the lake: the contract, then two columns of ours.

        `row_id` makes a row unique (ingesting it again adds nothing); `source` names its source.
        """
        fields = [(c.name, c.type) for c in self.columns]
        return pa.schema([*fields, ("row_id", pa.string()), ("source", pa.string())])


EVENTS = Table(
    "events",
    "event_time",
    (
        Column(
            "message_id", pa.string(), False, "unique name of the event; absent: row_id is its name"
        ),
        Column("event_time", TIME, True, "when it happened"),
        Column("known_at", TIME, False, "when we received it; default: event_time"),
        Column("account_id", pa.string(), False, "whose account; absent: its user's"),
        Column("user_id", pa.string(), False, "who did it; absent: whoever is anonymous_id"),
        Column("anonymous_id", pa.string(), False, "who did it, before we know who that is"),
        Column("event", pa.string(), True, "what was done"),
        Column("value", pa.float64(), False, "its amount or its minutes, as the settings say"),
        Column("properties", pa.string(), False, "anything else, as a JSON object"),
    ),
)

ACCOUNTS = Table(
    "accounts",
    "created_at",
    (
        Column("account_id", pa.string(), True, "the account"),
        Column("created_at", TIME, True, "when it signed up"),
        Column("known_at", TIME, False, "when we learnt this row; default: created_at"),
        Column("name", pa.string(), False, "what people call it"),
        Column("industry", pa.string(), False, "its industry"),
        Column("country", pa.string(), False, "its country"),
        Column("employees", pa.float64(), False, "how many people it employs"),
        Column("channel", pa.string(), False, "how it found us"),
        Column("owner", pa.string(), False, "who looks after it"),
        Column("is_internal", pa.bool_(), False, "ours, or a test: left out of training"),
    ),
)

USERS = Table(
    "users",
    "created_at",
    (
        Column("user_id", pa.string(), True, "the person, by an opaque id"),
        Column("account_id", pa.string(), True, "whose account"),
        Column("created_at", TIME, True, "when they joined the account"),
        Column("left_at", TIME, False, "when they left it"),
        Column("known_at", TIME, False, "when we learnt this row; default: created_at"),
        Column("role", pa.string(), False, "their role in the account"),
    ),
)

SUBSCRIPTIONS = Table(
    "subscriptions",
    "effective_at",
    (
        Column("subscription_id", pa.string(), True, "which subscription of the account"),
        Column("account_id", pa.string(), True, "whose account"),
        Column("effective_at", TIME, True, "from when on this row holds"),
        Column("known_at", TIME, False, "when we learnt it; default: effective_at"),
        Column("status", pa.string(), True, "trial, active or cancelled"),
        Column("plan", pa.string(), True, "a plan on the ladder, or an add-on"),
        Column("mrr", pa.float64(), True, "monthly recurring revenue from then on"),
        Column("seats", pa.float64(), False, "seats bought"),
        Column("billing_months", pa.float64(), False, "months a term lasts"),
        Column("term_end", TIME, False, "when the term ends: the renewal date"),
        Column("discount", pa.float64(), False, "share taken off the list price, 0 to 1"),
    ),
)

IDENTITIES = Table(
    "identities",
    "since",
    (
        Column("kind", pa.string(), True, "alias or merge"),
        Column("from_id", pa.string(), True, "an anonymous_id (alias), an account_id (merge)"),
        Column("to_id", pa.string(), True, "the user it is (alias), the account it joins (merge)"),
        Column("since", TIME, True, "from when on"),
        Column("known_at", TIME, False, "when we learnt it; default: since"),
    ),
)

CONTRACT = {t.name: t for t in (EVENTS, ACCOUNTS, USERS, SUBSCRIPTIONS, IDENTITIES)}
STATUSES = ("trial", "active", "cancelled")
LINKS = ("alias", "merge")
WHOSE = ("account_id", "user_id", "anonymous_id")
"""An event names at least one of these."""
