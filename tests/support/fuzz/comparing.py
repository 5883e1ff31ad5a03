"""What was stored of replies, compared with what was said and with another reading of it."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from poller.codec import decompress
from poller.normalize.rejection import HEAD_BYTES, WHOLE_BYTES
from poller.observation import Market, Status
from tests.support.fuzz.mutations import LIMIT
from tests.support.reading import read, stored

Whose = tuple[str, Market]

_SECOND: Final = timedelta(seconds=1)
_POLLS: Final = (
    "SELECT account, market, status, error_message, raw_payloads.codec, raw_payloads.body,"
    " rejected_payloads.codec, rejected_payloads.body, body_bytes, body_sha256, reason"
    " FROM poller.polls LEFT JOIN poller.raw_payloads USING (time, account, market)"
    " LEFT JOIN poller.rejected_payloads USING (time, account, market) WHERE time = %s"
)


def compare(
    connection: psycopg.Connection, time: datetime, said: Mapping[Whose, Sequence[bytes]]
) -> tuple[dict[Whose, Status], list[str]]:
    """Return the statuses of one tick, and what is wrong with its rows.

    Args:
        connection: To the database.
        time: The tick.
        said: All frames that were sent in it, by whom they were sent to.
    """
    rows = stored(connection, time, time + _SECOND)
    found: dict[Whose, Status] = {}
    wrong: list[str] = []
    for account, market, status, message, *payloads in connection.execute(_POLLS, (time,)):
        whose = account, Market(market)
        found[whose] = Status(status)
        frames = said.get(whose, ())
        match Status(status):
            case Status.OK:
                fault = _fault_of_ok(whose[1], rows.pop((time, *whose), None), payloads, frames)
            case Status.MALFORMED:
                fault = _fault_of_malformed(payloads, frames)
            case _:
                fault = None if message else "no reason"
        if fault:
            wrong.append(f"{time} {account} {market} {status}: {fault}")
    wrong += [f"{key}: rows of no ok poll" for key in rows]
    return found, wrong


def _fault_of_ok(market: Market, rows: Any, payloads: list[Any], said: Sequence[bytes]) -> str | None:
    body = decompress(payloads[0], payloads[1])
    if body not in said:
        return "the archive holds what was never said"
    try:
        reading = read(market, body)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as exc:
        return f"another reading refuses it: {exc!r:.200}"
    return None if rows == reading else "another reading has other rows"


def _fault_of_malformed(payloads: list[Any], said: Sequence[bytes]) -> str | None:
    codec, kept, size, digest, reason = payloads[2:]
    if not reason:
        return "no reason"
    if kept is None:
        return None if any(len(frame) >= LIMIT or not frame for frame in said) else "no bytes"
    whole = next((frame for frame in said if hashlib.sha256(frame).digest() == digest), None)
    if whole is None or len(whole) != size:
        return "length or hash of what was never said"
    return None if decompress(codec, kept) == (whole if size <= WHOLE_BYTES else whole[:HEAD_BYTES]) else "other bytes"
