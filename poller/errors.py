"""The errors of the project, split by what the caller must do.

PollerError
├── ConfigError                  exit before anything is connected (exit code 2)
├── TransientError               the same thing may succeed later: wait, retry or lose this poll
│   ├── NotConnectedError        nothing was sent: there is no socket
│   │   └── HandshakeError       the exchange did not open one (in `exchange.failures`, with its HTTP status)
│   ├── ConnectionLostError      sent, but the socket ended before the reply came
│   │   └── OversizedFrameError  the socket ended because a frame was above the limit
│   ├── RequestTimeoutError      sent, but no reply came before the deadline
│   ├── ClockUnavailableError    the exchange did not tell its time
│   ├── RestUnavailableError     no usable answer came over REST
│   ├── RestRefusedError         the exchange refused a request over REST; it tells what a verdict needs
│   ├── SpoolFullError           the spool takes no more: nothing acknowledged is dropped for a new poll
│   ├── StoreUnavailableError    the database cannot take it now (connection, rights, resources, schema)
│   └── HistoryInUseError        old rows are not dropped now: somebody uses their table, or the role may not
└── PermanentError               the same thing can never succeed
    ├── MalformedReplyError      the reply is not what the exchange documents
    ├── UnstorableError          the database refuses these data (SQLSTATE classes 22 and 23)
    ├── EnvironmentMismatchError an account label belongs to another environment
    ├── SpoolLockedError         another daemon owns this spool
    └── EmbeddedDatabaseError    the embedded PostgreSQL cannot be started

Errors of libraries are translated where the library is called, with the original as `__cause__`.
No message holds a key, a secret, a signature or a database password.
"""

from collections.abc import Sequence


class PollerError(Exception):
    """Anything that this project raises on purpose."""


class ConfigError(PollerError):
    """The configuration cannot be used; `problems` holds one `path: what is wrong` line for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class TransientError(PollerError):
    """The same thing may succeed later."""


class NotConnectedError(TransientError):
    """There is no connection to the exchange, so nothing was sent."""


class ConnectionLostError(TransientError):
    """The connection to the exchange ended before the reply came."""


class OversizedFrameError(ConnectionLostError):
    """The exchange sent a frame above the limit, which ends the connection."""


class RequestTimeoutError(TransientError):
    """No reply came before the deadline."""


class ClockUnavailableError(TransientError):
    """The exchange did not tell its time."""


class RestUnavailableError(TransientError):
    """No usable answer came over REST."""


class RestRefusedError(TransientError):
    """The exchange refused a request over REST.

    Attributes:
        status: Of HTTP.
        code: The exchange's error code, such as -1003; None when it gave none.
        msg: The exchange's words as they came. They may hold the IP address of this host: never log or store them.
        retry_after_seconds: How long the exchange asks to be left alone.
        used_weight: What the IP has used up in this minute, as the exchange counts it.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int,
        code: int | None = None,
        msg: str = "",
        retry_after_seconds: int | None = None,
        used_weight: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.msg = msg
        self.retry_after_seconds = retry_after_seconds
        self.used_weight = used_weight


class SpoolFullError(TransientError):
    """The spool is full or its disk is."""


class StoreUnavailableError(TransientError):
    """The database cannot store anything now."""


class HistoryInUseError(TransientError):
    """Old rows cannot be dropped now; all else goes on."""


class PermanentError(PollerError):
    """The same thing can never succeed."""


class MalformedReplyError(PermanentError):
    """The reply is not what the exchange documents.

    Attributes:
        drift: The places of values that cannot be read as what the documents say, as far as they have one.
    """

    def __init__(self, reason: str, *, drift: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.drift = tuple(drift)


class UnstorableError(PermanentError):
    """The database refuses these data."""


class EnvironmentMismatchError(PermanentError):
    """An account label belongs to another environment in this database."""


class SpoolLockedError(PermanentError):
    """Another process owns this spool."""


class EmbeddedDatabaseError(PermanentError):
    """The embedded PostgreSQL cannot be started."""
