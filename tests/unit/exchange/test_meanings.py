from http import HTTPStatus

import pytest

from poller.exchange.meanings import meaning
from poller.observation import Status


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (-2014, 401, "has the wrong form"),
        (-2015, 401, "this IP address is not on its list"),
        (-1022, 400, "the secret or private key belongs to another API key, or is of another kind"),
        (-1021, 400, "set up time synchronisation"),
        (-2017, 400, "is locked"),
        (-4056, 400, "HMAC, RSA or Ed25519"),
        (-4109, 400, "is inactive"),
        (-1109, 400, "no such account"),
        (-1011, 403, "add it to the key's IP restriction"),
        (-1002, 401, "the right to read futures"),
        (-1099, 401, "API management"),
        (-1003, 418, "too much was asked"),
        (-1016, 503, "maintenance"),
        (-1007, 408, "try again later"),
        (-1102, 400, "malformed"),
        (-5000, 404, "malformed"),
    ],
)
def test_a_code_of_the_exchange_is_told_in_words_to_act_on(code: int, status: int, words: str) -> None:
    assert words in meaning(Status.REJECTED, exchange_status=status, error_code=code)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the key"), (403, "firewall"), (408, "try again later"), (418, "is banned"),
        (429, "too much was asked"), (451, "country"), (500, "try again later"), (504, "try again later"),
        (400, "refused the request"), (None, "refused the request"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", [None, 0, -9999])
def test_an_unknown_code_is_told_by_its_status(code: int | None, status: int | None, words: str) -> None:
    assert words in meaning(Status.REJECTED, exchange_status=status, error_code=code)


@pytest.mark.parametrize("outcome", [outcome for outcome in Status if outcome not in {Status.OK, Status.REJECTED}])
def test_without_a_reply_the_outcome_is_told(outcome: Status) -> None:
    assert meaning(outcome, exchange_status=None, error_code=None) != "the exchange refused the request"


def test_a_network_that_leads_nowhere_is_named() -> None:
    for outcome in (Status.DISCONNECTED, Status.TIMEOUT):
        assert "network" in meaning(outcome, exchange_status=None, error_code=None)
    assert HTTPStatus(418).phrase not in meaning(Status.BANNED, exchange_status=418, error_code=-9999)
