"""What goes wrong, and what counts as an error that names the cause."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from benchmarks.faults.scripts import (
    NUMBER,
    Scene,
    away,
    ban,
    clock,
    never_answers,
    number,
    rotation,
    server_closes,
    truncated,
    unknown_field,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        what: What happens, as a sentence.
        right: What counts as the right error, as a sentence.
        says: Found in the text of an error that names the cause.
        happen: Lets it happen, from its begin to its end.
        is_exact: Without an error, the right thing is the exact number.
    """

    name: str
    what: str
    right: str
    says: re.Pattern[str]
    happen: Callable[[Scene], Awaitable[None]]
    is_exact: bool = False


_NOTHING = re.compile(r"(?!)")
_LOST = re.compile(r"(?i)connect|\bclosed?\b|refused|reset")

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            name="server-closes",
            what="The server closes the live WebSocket with code 1008, once.",
            right="it says that the connection was lost or closed",
            says=_LOST,
            happen=server_closes,
        ),
        Fault(
            name="never-answers",
            what="The live WebSocket stays open, but nothing comes on it any more, no pong and no farewell; a new one "
            "would serve at once.",
            right="it says that a reply timed out",
            says=re.compile(r"(?i)time[sd]?[ _-]?out|deadline"),
            happen=never_answers,
        ),
        Fault(
            name="away",
            what="The exchange closes everything with code 1001 and nobody listens for {away:g} s.",
            right="it says that there is no connection or that it was refused",
            says=_LOST,
            happen=away,
        ),
        Fault(
            name="clock",
            what="The exchange's clock is suddenly 5 s behind the host's, and stays so: requests are refused with "
            "-1021.",
            right="it says -1021, or that the timestamp or clock is wrong",
            says=re.compile(r"(?i)-1021|clock|timestamp"),
            happen=clock,
        ),
        Fault(
            name="ban",
            what="The IP is banned for {ban:g} s: requests, handshakes and REST are refused with 418 and -1003, which "
            "name the end of the ban.",
            right="it says 418, -1003 or banned",
            says=re.compile(r"(?i)\b418\b|-1003|banned"),
            happen=ban,
        ),
        Fault(
            name="unknown-field",
            what="For {odd:g} s every object of every reply has one more field.",
            right="there is none: nothing that is read has changed",
            says=_NOTHING,
            happen=unknown_field,
        ),
        Fault(
            name="number",
            what=f"For {{odd:g}} s every `walletBalance` is the JSON number {NUMBER} instead of a string.",
            right="it names the field; or there is none, and the balance that is handed out has all its digits",
            says=re.compile(r"(?i)wallet_?balance"),
            happen=number,
            is_exact=True,
        ),
        Fault(
            name="truncated",
            what="One reply ends in its middle.",
            right="it says that the reply is not JSON or malformed",
            says=re.compile(r"(?i)json|malformed|truncated|decod"),
            happen=truncated,
        ),
        Fault(
            name="rotation",
            what="As at 24 hours of age: a `serverShutdown` event, and {notice:g} s later the server closes that "
            "WebSocket with code 1001.",
            right="it says that the connection was lost or closed",
            says=_LOST,
            happen=rotation,
        ),
    )
}
