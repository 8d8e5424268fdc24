"""Keys on the command line: shown once, listed without their secret, ended by their id."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine

from commands.terminal import screen
from features.errors import InputError
from features.workspace import Workspace
from goldpan import main
from serving.ledger.database import opened
from serving.ledger.keys import Key, create, find, listed, revoke

KEY = re.compile(r"^gp_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$", re.MULTILINE)


def key(workspace: Path, verb: str, *arguments: str) -> Result:
    """Run `goldpan key VERB`."""
    return CliRunner().invoke(main, ["key", verb, "--workspace", str(workspace), *arguments])


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen.OUT, "_width", 200)


def test_a_key_is_shown_once_and_kept_only_as_a_digest(tmp_path: Path) -> None:
    """What is printed opens; no byte of the secret is in the ledger's files or in any list."""
    made = key(tmp_path, "create", "--name", "HubSpot", "--scope", "score", "--scope", "read")
    assert made.exit_code == 0
    [text] = KEY.findall(made.output)
    found = find(opened(Workspace(tmp_path)), text)
    assert found is not None
    assert (found.name, found.scopes, found.expires_at) == ("HubSpot", ("score", "read"), None)
    secret = text.split("_", 2)[2]
    assert secret not in key(tmp_path, "list").output
    for file in tmp_path.glob("ledger.db*"):
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("text", ["gp_a\x00b_c", "gp_é_c", "gp_'_c", "gp__c", "gp_a_", "a\x00"])
def test_a_text_that_no_key_has_is_not_looked_up(text: str) -> None:
    """PostgreSQL takes no NUL: the ledger is not asked, even one that is not there."""
    assert find(create_engine("sqlite:////nowhere/at/all"), text) is None


def test_the_list_tells_the_state_of_every_key(tmp_path: Path) -> None:
    """Valid, valid until a day, expired and revoked keys are told apart."""
    assert "No keys yet" in key(tmp_path, "list").output
    ledger, now = opened(Workspace(tmp_path)), datetime.now(UTC)
    create(ledger, "lasting", ["score"])
    key(tmp_path, "create", "--name", "a month", "--scope", "read", "--expires", "30")
    create(ledger, "past", ["events"], expires_at=now - timedelta(seconds=1))
    _, ended = create(ledger, "ended [red]", ["admin"])
    assert key(tmp_path, "revoke", ended.id).exit_code == 0
    lines = {name: next(li for li in key(tmp_path, "list").output.splitlines() if name in li)
             for name in ("lasting", "a month", "past", "ended [red]")}  # fmt: skip
    assert "valid" in lines["lasting"]
    assert f"valid until {now + timedelta(days=30):%Y-%m-%d}" in lines["a month"]
    assert "expired" in lines["past"]
    assert f"revoked {now:%Y-%m-%d}" in lines["ended [red]"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--name", "x", "--scope", "scores"], "expected some of score, read, events"),
        (["create", "--name", "a\tb", "--scope", "score"], "expected 1 to 200 printable"),
        (["create", "--name", "n" * 201, "--scope", "score"], "expected 1 to 200 printable"),
        (["revoke", "nobody"], "Found no key nobody. `goldpan key list` shows the ids"),
    ],
)
def test_what_cannot_be_done_says_what_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """Found, expected, and exit code 2."""
    monkeypatch.setattr(screen.ERR, "_width", 200)
    done = key(tmp_path, arguments[0], *arguments[1:])
    assert done.exit_code == 2
    assert said in done.output


def test_keys_are_as_long_as_they_should_be_and_never_alike(tmp_path: Path) -> None:
    """256 bits each; a text with another's id and its own secret is no key."""
    ledger = opened(Workspace(tmp_path))
    texts = [create(ledger, "n", ["score"])[0] for _ in range(20)]
    assert len({t.split("_", 2)[2] for t in texts}) == 20
    assert all(KEY.match(text) for text in texts)
    first, second = (text.split("_", 2) for text in texts[:2])
    assert find(ledger, "_".join([*first[:2], second[2]])) is None
    for junk in ("", "gp", "gp__", "gp_a_", "xx_" + texts[0][3:], texts[0][:-1], texts[0] + "A"):
        assert find(ledger, junk) is None


def test_a_key_ends_when_it_says(tmp_path: Path) -> None:
    """Valid before its instant, not at it; revoked twice, the first instant stays."""
    ledger, end = opened(Workspace(tmp_path)), datetime(2026, 7, 1, tzinfo=UTC)
    text, _ = create(ledger, "n", ["score"], expires_at=end)
    found = find(ledger, text)
    assert isinstance(found, Key)
    assert found.valid(end - timedelta(microseconds=1))
    assert not found.valid(end)
    once = revoke(ledger, found.id).revoked_at
    assert once is not None
    assert revoke(ledger, found.id).revoked_at == once == listed(ledger)[0].revoked_at
    with pytest.raises(InputError, match="no key gone"):
        revoke(ledger, "gone")
