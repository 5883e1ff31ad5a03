"""`poller psql`: the configured database by hand."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from urllib.parse import unquote, urlsplit

import typer

from poller.cli.common import CONFIG_FILE, ConfigOption, begin, exit_codes
from poller.errors import StoreUnavailableError
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.embedded_programs import find_wheel
from poller.storage.engine import parse_url
from poller.storage.tls import is_local, verification


def psql(*, config: ConfigOption = CONFIG_FILE) -> None:
    """Open psql on the configured database; the embedded one runs as long as somebody uses it."""
    with exit_codes():
        settings, _ = begin(config, quiet=True)
        if settings.database_url is None:
            with EmbeddedPostgres(settings.embedded_directory, warn=lambda _: None) as embedded:
                code = _interact(*embedded.psql_command())
        else:
            code = _interact(*_command(settings.database_url))
    raise typer.Exit(code)


def _command(url: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """Keep the password out of the arguments, which every user of the machine can read."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    bare = parts._replace(netloc=f"{credentials.partition(':')[0]}{at}{host}").geturl()
    password = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
    # What the address says itself wins over the environment.
    parsed = parse_url(url)
    verified = {f"PG{name.upper()}": value for name, value in verification(parsed).items()}
    program = _program(speaks_tls="sslmode" in parsed.query or not is_local(parsed))
    return [program, bare], os.environ | password | verified


def _program(*, speaks_tls: bool) -> str:
    # The embedded PostgreSQL is built without TLS, its psql too.
    if not speaks_tls:
        return str(find_wheel() / "pginstall" / "bin" / "psql")
    found = shutil.which("psql")
    if found is None:
        raise StoreUnavailableError("there is no psql: for a database on another machine, install PostgreSQL's client")
    return found


def _interact(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    # Ctrl-C belongs to psql, which cancels a query with it; it must not end us before psql.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(  # noqa: S603 - the wheel's own program with our own arguments
            arguments,
            env=environment,
            check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ).returncode
    finally:
        signal.signal(signal.SIGINT, before)
