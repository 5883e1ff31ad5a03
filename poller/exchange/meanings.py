"""What a refusal means for a person, in words to act on: pure, and without any say in what the poller does next.

The codes are those of the exchange's error tables; one that is not listed is told by its HTTP-style status, and without
any reply by how the tick ended.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from poller.observation import Status

_MALFORMED: Final = "the exchange takes the request for malformed: look for a newer release, else report it"
_LATER: Final = "the exchange could not answer now: try again later"
_BY_CODE: Final[Mapping[int, str]] = {
    -1002: "the key may not do this: give it the right to read futures accounts",
    -1003: "too much was asked from this IP address in this minute: fewer programs on it, longer intervals",
    -1011: "this IP address may not use the API: add it to the key's IP restriction",
    -1016: "the exchange is down for maintenance: try again later",
    -1021: "the exchange refuses the time of the request: set up time synchronisation, look at the network's delays",
    -1022: "the signature is wrong: the secret or private key belongs to another API key, or is of another kind",
    -1099: "the exchange does not know the key, or the key has no rights: look at it in the exchange's API management",
    -1109: "there is no such account: open a futures account, or wait if the exchange is being maintained",
    -2014: "the API key has the wrong form: it is not whole, or something else was put in its place",
    -2015: "the API key is unknown here (live and testnet have keys of their own), or this IP address is not on its"
    " list, or it has no right to read futures",
    -2017: "the API key is locked: unlock it in the exchange's API management or make a new one",
    -4056: "the API key is of a kind that is not taken here: make an HMAC, RSA or Ed25519 key",
    -4109: "the account is inactive: a transfer into its futures wallet wakes it",
    **dict.fromkeys((-1000, -1001, -1006, -1007, -1008), _LATER),
    **dict.fromkeys((*range(-1106, -1099), -5000), _MALFORMED),
}
_BY_HTTP_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the exchange does not accept the key: look at it in the exchange's API management",
    HTTPStatus.FORBIDDEN: "the exchange's firewall refused the request: try again later, or from another IP address",
    HTTPStatus.REQUEST_TIMEOUT: _LATER,
    HTTPStatus.IM_A_TEAPOT: "this IP address is banned for a while: end whatever uses it, and wait",
    HTTPStatus.TOO_MANY_REQUESTS: _BY_CODE[-1003],
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: "the exchange does not serve the country of this IP address",
}
_BY_OUTCOME: Final[Mapping[Status, str]] = {
    Status.TIMEOUT: "no reply came in time: network, proxy, or the exchange",
    Status.DISCONNECTED: "the exchange was not reached: network, DNS, proxy, firewall, or the exchange",
    Status.RATE_LIMITED: _BY_CODE[-1003],
    Status.BANNED: _BY_HTTP_STATUS[HTTPStatus.IM_A_TEAPOT],
    Status.UNAUTHORIZED: _BY_HTTP_STATUS[HTTPStatus.UNAUTHORIZED],
    Status.CLOCK_SKEW: _BY_CODE[-1021],
    Status.EXCHANGE_ERROR: _LATER,
    Status.MALFORMED: "the reply was not understood: look for a newer release, else report it",
    Status.PAUSED: "nothing was asked, to spare the weight of this IP address: try again later",
    Status.SKIPPED: "nothing was asked: this machine was too slow",
    Status.SPOOL_FULL: "what was answered could not be kept: the spool or its disk had no room",
}


def meaning(outcome: Status, *, exchange_status: int | None, error_code: int | None) -> str:
    """Return what the end of a poll that is not `ok` means, and what to do.

    Args:
        outcome: How the tick ended.
        exchange_status: The HTTP-style status of the reply.
        error_code: The exchange's code.
    """
    if told := _BY_CODE.get(error_code or 0) or _BY_HTTP_STATUS.get(exchange_status or 0):
        return told
    if exchange_status is not None and exchange_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _LATER
    return _BY_OUTCOME.get(outcome, "the exchange refused the request")
