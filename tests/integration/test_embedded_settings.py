"""What a new embedded server is like, and who may come in."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from poller.storage.embedded import EmbeddedPostgres

LISTENING = "0A"  # as /proc/net/tcp spells it
LOOPBACK = "0100007F"


@pytest.fixture(name="server", scope="module")
def _server(embedded_directory: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(embedded_directory, warn=lambda _: None) as server:
        yield server


@pytest.fixture(name="connection", scope="module")
def _connection(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("search_path", "poller, public"),
        ("server_encoding", "UTF8"),
        ("synchronous_commit", "on"),
        ("timezone", "UTC"),
        ("unix_socket_directories", ""),
    ],
)
def test_a_new_server_has_the_setting(connection: psycopg.Connection, setting: str, value: str) -> None:
    assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == (value,)


def test_text_sorts_alike_on_every_machine(connection: psycopg.Connection) -> None:
    found = connection.execute("SELECT datlocprovider::text, datlocale FROM pg_database WHERE datname = 'poller'")

    assert found.fetchone() == ("b", "C.UTF-8")


def test_every_way_in_asks_for_the_password(connection: psycopg.Connection) -> None:
    found = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")

    assert found.fetchall() == [("scram-sha-256",)]


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_is_refused(server: EmbeddedPostgres, password: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.url, password=password)


def test_only_the_loopback_interface_listens(server: EmbeddedPostgres) -> None:
    port = f"{int(str(conninfo_to_dict(server.url)['port'])):04X}"
    sockets = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    ]

    listening = [local for _, local, _, state, *_ in sockets if state == LISTENING]

    assert [local for local in listening if local.endswith(f":{port}")] == [f"{LOOPBACK}:{port}"]
