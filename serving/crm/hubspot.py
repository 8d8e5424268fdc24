"""What HubSpot asks and what it is told: flat texts that a workflow can write into properties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from re import fullmatch
from typing import Any

from serving.api.bodies import ID_PATTERN
from serving.api.problems import ProblemError, shown, unfit

REASONS = 3
MOST_TEXT = 1_000
Outputs = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """The account that a request is about; `call` names what HubSpot sends again until answered."""

    account: str
    call: str | None = None


def read_action(body: Any, field: str) -> Asked:
    """A custom workflow action, or the webhook of a workflow; raises ProblemError.

    The account's id stands in the input field, or in the property, that is called `field`.
    """
    if not isinstance(body, dict):
        raise _invalid("body", body, "a JSON object, as workflows send it")
    call = body.get("callbackId")
    place = "inputFields" if "inputFields" in body or call is not None else "properties"
    fields = body.get(place)
    if not isinstance(fields, dict):
        raise _invalid(place, fields, "a JSON object")
    account = account_in(fields, field, f"{place}.{field}")
    return Asked(account, None if call is None else _call(body, call))


def account_in(fields: Mapping[str, Any], field: str, place: str) -> str:
    """The account's id in a field; a contact's properties hold their value one level deeper."""
    found = fields.get(field)
    if isinstance(found, dict):
        found = found.get("value")
    text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
    if not isinstance(text, str) or not fullmatch(ID_PATTERN, text):
        raise _invalid(place, found, f"an account's id: a text that matches {ID_PATTERN}")
    return text


def changed_accounts(body: Sequence[Any], field: str) -> tuple[list[str], int]:
    """Of notifications of CRM objects: the ids that the property was set to, and how many others.

    They say which property changed and to what, nothing else of the object.
    """
    found = [
        account_in({field: item["propertyValue"]}, field, f"[{i}].propertyValue")
        for i, item in enumerate(body)
        if isinstance(item, dict)
        and item.get("propertyName") == field
        and item.get("propertyValue")
    ]
    return list(dict.fromkeys(found)), len(body) - len(found)


def outputs(result: Mapping[str, Any]) -> Outputs:
    """One account's scores as output fields: texts, and numbers written as texts."""
    told = {"account_id": str(result["account_id"]), "as_of": str(result["as_of"])}
    for score in result["scores"]:
        name = score["model"]
        texts = [reason["text"] for reason in score.get("reasons", ())[:REASONS]]
        told |= {
            f"{name}_probability": f"{score['probability']:.6f}",
            f"{name}_grade": score["grade"],
            f"{name}_rank": str(score["rank"]["position"]),
            f"{name}_reasons": "; ".join(texts)[:MOST_TEXT],
            f"{name}_model_version": score["model_version"],
        }
        told |= {f"{name}_reason_{i}": text[:MOST_TEXT] for i, text in enumerate(texts, start=1)}
    return told | {"hs_execution_state": "SUCCESS"}


def unknown(account: str) -> Outputs:
    """What is told of an account that we do not know: the workflow goes on and can branch on it."""
    error = f"No account {account} on the scoring day."
    return {"account_id": account, "error": error, "hs_execution_state": "FAIL_CONTINUE"}


def _call(body: Mapping[str, Any], call: Any) -> str:
    """What names one execution of an action, however often it is sent."""
    origin, thing = (body.get(name) or {} for name in ("origin", "object"))
    named = isinstance(call, str) and call != ""
    if not named or not isinstance(origin, dict) or not isinstance(thing, dict):
        raise _invalid("callbackId", call, "a text, beside origin and object")
    return "\x1f".join(
        str(part)
        for part in (origin.get("portalId"), call, thing.get("objectType"), thing.get("objectId"))
    )


def _invalid(field: str, found: Any, expected: str) -> ProblemError:
    return unfit(field, "nothing" if found is None else shown(found), expected)
