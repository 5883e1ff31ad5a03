"""Why the exchange was not reached or a socket ended, in words that hold no address, no name and no password."""

import errno

import aiohttp
from aiohttp import WSCloseCode, WSMsgType
from aiohttp.http import WSMessageNoDecodeText
from yarl import URL

from poller.errors import NotConnectedError

_PROXY_AUTHENTICATION = 407

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorCertificateError, "the certificate of the exchange is not trusted"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (aiohttp.ServerDisconnectedError, "the exchange hung up before it answered"),
    (TimeoutError, "the exchange did not answer in time"),
)


class HandshakeError(NotConnectedError):
    """The socket could not be opened.

    Attributes:
        status: Of HTTP, when the exchange answered at all.
        retry_after_seconds: How long the exchange asks to be left alone.
    """

    def __init__(self, reason: str, *, status: int | None = None, retry_after_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


def handshake_error(exc: Exception, url: str) -> HandshakeError:
    """Return what a failure to open a socket at `url` means."""
    if not isinstance(exc, aiohttp.WSServerHandshakeError):
        return HandshakeError(failure_reason(exc, url))
    if exc.status == _PROXY_AUTHENTICATION:
        return HandshakeError(_proxy_answer(exc.status))
    retry_after = exc.headers.get("Retry-After", "") if exc.headers else ""
    return HandshakeError(
        f"the exchange answered the handshake with HTTP {exc.status}",
        status=exc.status,
        retry_after_seconds=int(retry_after) if retry_after.isdecimal() else None,
    )


def failure_reason(exc: Exception, url: str) -> str:
    """Return why nothing was heard from `url`, which is asked directly or through a proxy."""
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        # With a proxy its name is the only one that is looked up here.
        whose = "exchange" if exc.host == URL(url).raw_host else "proxy"
        return f"the name of the {whose} could not be resolved"
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return _proxy_answer(exc.status)
    if isinstance(exc, aiohttp.ClientProxyConnectionError):
        return f"the proxy could not be reached: {_name(exc)}"
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return reason
    if isinstance(exc, OSError) and exc.errno is not None:
        return f"the exchange could not be reached: {_name(exc)}"
    return f"an unexpected {type(exc).__name__}"


def printable_cause(exc: Exception) -> Exception | None:
    """Return an exception as the cause of another, unless its own text holds the proxy's password."""
    return None if isinstance(exc, aiohttp.ClientHttpProxyError) else exc


def end_reason(message: WSMessageNoDecodeText) -> str:
    """Return why a socket ended, by the last that was received on it."""
    if message.type is WSMsgType.CLOSE:
        words = f" {message.extra!r}" if message.extra else ""
        return f"the exchange closed the connection: code {message.data}{words}"
    if isinstance(message.data, TimeoutError):
        return "the exchange did not answer a ping"
    if isinstance(message.data, aiohttp.WebSocketError):
        return f"the exchange broke the protocol: {message.data}"
    return "the connection ended without a close frame"


def is_oversized(message: WSMessageNoDecodeText) -> bool:
    """Tell whether a socket ended for a frame above the limit."""
    return isinstance(message.data, aiohttp.WebSocketError) and message.data.code == WSCloseCode.MESSAGE_TOO_BIG


def _proxy_answer(status: int) -> str:
    if status == _PROXY_AUTHENTICATION:
        return f"the proxy refused the user or the password: HTTP {status}"
    return f"the proxy answered with HTTP {status}"


def _name(exc: OSError) -> str:
    return "no error number" if exc.errno is None else errno.errorcode.get(exc.errno, str(exc.errno))
