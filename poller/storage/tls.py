"""Whether a database has to prove who it is: everyone does who is not on this machine, unless the address says else."""

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from poller.errors import ConfigError

_VERIFIED: Final = "verify-full"
_SYSTEM: Final = "system"

# The authorities that the system trusts. `sslrootcert=system` would look where OpenSSL was built to look, and the one
# inside psycopg's wheel was built on another system.
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat, Fedora, Amazon
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # the newest of them
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS
)


def verification(url: URL, environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> dict[str, str]:
    """Return what libpq is to be told besides an address: nothing for a database on this machine.

    Args:
        url: The address; its own `sslmode` and `sslrootcert` win.
        environ: The environment; its PGSSLROOTCERT and the user's `~/.postgresql/root.crt` win over the system.
        root: Where the files of the system begin.

    Raises:
        ConfigError: The authorities that the system trusts cannot be found.
    """
    trusted = url.query.get("sslrootcert", environ.get("PGSSLROOTCERT"))
    mode = url.query.get("sslmode") or (_VERIFIED if trusted == _SYSTEM or not is_local(url, environ) else None)
    if mode != _VERIFIED:
        return {}
    own = Path(environ.get("HOME") or Path.home()) / ".postgresql" / "root.crt"
    if trusted != _SYSTEM and (trusted or own.exists()):
        return {"sslmode": _VERIFIED}
    return {"sslmode": _VERIFIED, "sslrootcert": str(_bundle(environ, root))}


def is_local(url: URL, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether an address leads to this machine: by a Unix socket or the loopback interface, whatever it tries."""
    if "service" in url.query or "PGSERVICE" in environ:
        return False  # a file says where
    return all(map(_is_here, _hosts(url, environ)))


def _hosts(url: URL, environ: Mapping[str, str]) -> Iterator[str]:
    for name, variable in (("host", "PGHOST"), ("hostaddr", "PGHOSTADDR")):
        given = url.query.get(name) or (url.host if name == "host" else None) or environ.get(variable) or ()
        for listed in (given,) if isinstance(given, str) else given:
            yield from listed.split(",")


def _is_here(host: str) -> bool:
    name = (host.partition(":")[0] if host.count(":") == 1 else host).strip("[]")
    if not name or name == "localhost" or name.startswith(("/", "@")):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _bundle(environ: Mapping[str, str], root: Path) -> Path:
    places = [Path(environ.get("SSL_CERT_FILE") or root), *(root / place.lstrip("/") for place in _BUNDLES)]
    for place in places:
        if place.is_file():
            return place
    problem = (
        "database.url: the host is not this machine, so it has to prove who it is, but no list of trusted authorities "
        f"was found ({', '.join(_BUNDLES)}): install ca-certificates, name a file with ?sslrootcert=…, or say with "
        "?sslmode=… what is enough"
    )
    raise ConfigError([problem])
