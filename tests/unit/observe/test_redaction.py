import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poller.observe.redaction import SHORTEST, Redactor, redact

PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIKpzxdFGkmVnN1pSWmVhbGx5Tm90QVByaXZhdGVLZXkh
Zm91cg==
=
-----END PRIVATE KEY-----
"""


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('{"apiKey":"abc","timestamp":1,"signature":"0f/3=="}', '{"apiKey":"***","timestamp":1,"signature":"***"}'),
        (
            '{"body": "{\\"signature\\": \\"0f3\\", \\"id\\": 1}"}',
            '{"body": "{\\"signature\\": \\"***\\", \\"id\\": 1}"}',
        ),
        (r'{"signature":"0f\/3=="}', '{"signature":"***"}'),
        ("{'apiKey': 'abc', 'signature': b'0f3'}", "{'apiKey': '***', 'signature': b'***'}"),
        ("[('apiKey', 'abc'), ('timestamp', 1)]", "[('apiKey', '***'), ('timestamp', 1)]"),
        ("apiKey=abc&timestamp=1&signature=0f/3==", "apiKey=***&timestamp=1&signature=***"),
        ("X-MBX-APIKEY=abc", "X-MBX-APIKEY=***"),
        ("api_key=abc api_secret='d e f' leverage=5", "api_key=*** api_secret=*** leverage=5"),
        ("\x1b[36mapi_secret\x1b[0m=\x1b[35mabc\x1b[0m next", "\x1b[36mapi_secret\x1b[0m=\x1b[35m***\x1b[0m next"),
        (r'{"event": "password=\"a b\" rows=3"}', '{"event": "password=*** rows=3"}'),
        ('{"event": "password=", "rows": "3"}', '{"event": "password=", "rows": "3"}'),
        ("{'event': 'password=', 'rows': '3'}", "{'event': 'password=', 'rows': '3'}"),
        ("host=localhost password=a dbname=b", "host=localhost password=*** dbname=b"),
        ("to postgresql://poller:a@localhost/history.", "to postgresql://poller:***@localhost/history."),
        ("postgresql+psycopg://poller:a@b:c/d@localhost/x", "postgresql+psycopg://poller:***@localhost/x"),
        (
            "postgresql://localhost/x?user=a&password=b&sslmode=c",
            "postgresql://localhost/x?user=a&password=***&sslmode=c",
        ),
        (
            "wss://exchange.example:443/ws-fapi/v1 for account=main",
            "wss://exchange.example:443/ws-fapi/v1 for account=main",
        ),
        (
            "accounts[0].api_secret: environment variable A is not set",
            "accounts[0].api_secret: environment variable A is not set",
        ),
        ("mail a@b.example at 10:30", "mail a@b.example at 10:30"),
    ],
)
def test_what_looks_like_a_secret_is_masked_and_nothing_else(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_given_secrets_are_masked_in_the_given_order() -> None:
    assert redact("ab-abc-b", ["abc", "b"]) == "a***-***-***"


@settings(deadline=None)
@given(st.text(min_size=6).filter(str.isprintable))
def test_a_known_secret_is_masked_in_every_form(secret: str) -> None:
    assume(len(secret.strip()) >= SHORTEST and secret == secret.strip() and not secret.startswith("-----"))
    redactor = Redactor([secret])
    forms = {
        "as it is": secret,
        "in a URL": quote(secret, safe=""),
        "in a form": quote_plus(secret),
        "in JSON": json.dumps(secret)[1:-1],
        "in JSON outside ASCII": json.dumps(secret, ensure_ascii=False)[1:-1],
        "in a repr": repr(secret)[1:-1],
        "in a repr of bytes": repr(secret.encode())[2:-1],
    }

    assert {name: redactor(f"<{form}>") for name, form in forms.items()} == dict.fromkeys(forms, "<***>")


def test_a_secret_that_contains_another_leaves_nothing_of_itself() -> None:
    assert Redactor(["secret", "secret-and-more"])("a secret-and-more, a secret") == "a ***, a ***"


def test_a_private_key_is_known_by_each_of_its_lines() -> None:
    redactor = Redactor([PEM])

    assert redactor(json.dumps(PEM)) == '"-----BEGIN PRIVATE KEY-----\\n***\\n***\\n=\\n-----END PRIVATE KEY-----\\n"'
    assert redactor("tail Zm91cg== of it") == "tail *** of it"


def test_a_secret_can_be_added_later() -> None:
    redactor = Redactor()
    assert redactor("generated-password") == "generated-password"

    redactor.add_secret("generated-password")

    assert redactor("generated-password") == "***"


def test_secrets_that_are_too_short_to_search_for_are_masked_where_they_belong() -> None:
    redactor = Redactor(["abc", "demo1", "", "\n"])

    assert redactor("demo1 of abc, password=abc, postgresql://u:demo1@h") == (
        "demo1 of abc, password=***, postgresql://u:***@h"
    )


@settings(deadline=None)
@given(st.text())
def test_redaction_takes_any_text_and_is_done_in_one_go(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


WORDS = st.sampled_from(
    ["apiKey", "signature", "password=", "=", ":", '"', "'", "\\", "postgresql://u:", "@", ", ", " ", "/", "x"]
)
WORDY = st.lists(WORDS, max_size=12).map("".join)


@settings(deadline=None)
@given(st.dictionaries(WORDY, st.one_of(WORDY, st.lists(WORDY), st.integers(), st.dictionaries(WORDY, WORDY))))
def test_json_stays_json(event: dict[str, object]) -> None:
    redacted = json.loads(redact(json.dumps(event)))

    assert len(redacted) <= len(event)


def test_a_long_line_takes_no_long_time() -> None:
    for piece in ("a.", "x://u:", "password=", 'signature":"', "apiKey=\x1b[0m", "password='"):
        redact(piece * 20_000)
