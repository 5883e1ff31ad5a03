"""Addresses as the file writes them. Every fault is a `ValueError` that states the rule, never the address."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, SecretStr, TypeAdapter, UrlConstraints, ValidationError
from pydantic_core import MultiHostUrl, Url

EMBEDDED = "embedded"

_OTHER_PROXIES = frozenset({"https", "socks", "socks4", "socks4a", "socks5", "socks5h"})
_POSTGRES_URL: TypeAdapter[MultiHostUrl] = TypeAdapter(
    Annotated[MultiHostUrl, UrlConstraints(allowed_schemes=["postgresql"])]
)


def _ws_url(text: str) -> str:
    _parsed(text, encrypted="wss", plain="ws")
    return text


def _rest_url(text: str) -> str:
    url = _parsed(text, encrypted="https", plain="http")
    if (url.path or "/") != "/" or url.query:
        raise ValueError("must end after the host and port: the path is added")
    return text.rstrip("/")


def _parsed(text: str, *, encrypted: str, plain: str) -> Url:
    rule = f"must be {encrypted}://host[:port]… (or {plain}:// to this machine itself)"
    scheme, separator, rest = text.partition("://")
    # Url mends what it can (spaces, tabs, missing slashes); the text goes on as it is, so it has to be right itself.
    if scheme not in {encrypted, plain} or not separator or rest.startswith("/") or not _is_one_word(text):
        raise ValueError(rule)
    try:
        url = Url(text)
    except ValueError:
        raise ValueError(rule) from None
    if url.username or url.password or url.fragment is not None:
        raise ValueError("must hold neither a user name nor a `#`")
    if scheme == plain and not is_loopback(url.host or ""):
        raise ValueError(f"must be {encrypted}://: without encryption only this machine itself may be addressed")
    return url


def _is_one_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    return host == "localhost" or (is_address(host) and ip_address(host.strip("[]")).is_loopback)


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, not a name."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _postgresql_url(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.startswith("postgresql://"):
        raise ValueError("must begin with postgresql://")
    if not _is_one_word(text) or "#" in text:
        raise ValueError(
            "must be URL-encoded: spaces and special characters of the password as %20, %23, %40 and so on"
        )
    try:
        _POSTGRES_URL.validate_python(text)
        urlsplit(text)
    except (ValidationError, ValueError):
        raise ValueError("must be postgresql://user:password@host:port/database, the password URL-encoded") from None
    return secret


def _database(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text == EMBEDDED or text.startswith("postgresql://"):
        return secret if text == EMBEDDED else _postgresql_url(secret)
    raise ValueError("must be `embedded`, or begin with postgresql://")


def _proxy_url(secret: SecretStr) -> SecretStr:
    rule = "must be http://[user:password@]host:port and nothing else, user and password URL-encoded"
    text = secret.get_secret_value().removesuffix("/")
    if text.partition("://")[0].lower() in _OTHER_PROXIES:
        raise ValueError("must be http://: only an HTTP proxy will do, and all that goes through it is encrypted")
    if not text.startswith("http://") or not _is_one_word(text):
        raise ValueError(rule)
    try:
        url, parts = Url(text), urlsplit(text)
        whole = bool(url.host and parts.port) and not (parts.path or parts.query or parts.fragment)
    except ValueError:
        raise ValueError(rule) from None
    user, at, _ = parts.netloc.rpartition("@")
    if not whole or text[-1] in "?#" or "@" in user or (at and not (parts.username and parts.password)):
        raise ValueError(rule)
    return SecretStr(text)


def passwords(url: str) -> tuple[str, ...]:
    """Return the passwords in a valid `postgresql://` or `http://` URL, as they are written and as they are meant."""
    parts = urlsplit(url)
    hidden = [value for name, value in parse_qsl(parts.query) if name in {"password", "sslpassword"}]
    user, separator, _ = parts.netloc.rpartition("@")
    _, _, written = user.partition(":") if separator else ("", "", "")
    return tuple(password for password in (written, unquote(written), *hidden) if password)


ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]
WsUrl = Annotated[str, AfterValidator(_ws_url)]
RestUrl = Annotated[str, AfterValidator(_rest_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]
PostgresqlUrl = Annotated[SecretStr, AfterValidator(_postgresql_url)]
