"""A database on another machine has to prove who it is; one on this machine need not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from poller.errors import ConfigError, StoreUnavailableError
from poller.storage.engine import migration_engine
from poller.storage.report import report
from poller.storage.schema import upgrade
from poller.storage.store import Store
from poller.storage.tls import is_local, verification
from tests.support.tls_server import HOST, certificate, tls_server

LOCAL = (
    "postgresql:///history",
    "postgresql://ann@/history?host=/run/postgresql",
    "postgresql://ann@localhost:5433/history",
    "postgresql://127.0.0.1/history",
    "postgresql://127.8.9.10/history",
    "postgresql://[::1]:5432/history",
    "postgresql://ann@/history?host=localhost:5432&host=127.0.0.1:5433",
)
REMOTE = (
    "postgresql://db.example/history",
    "postgresql://10.0.0.5/history",
    "postgresql://[fd00::5]:5432/history",
    "postgresql://db.example/history?hostaddr=127.0.0.1",
    "postgresql://localhost/history?hostaddr=10.0.0.5",
    "postgresql://localhost,db.example/history",
    "postgresql://ann@/history?host=localhost:5432&host=db.example:5432",
    "postgresql://ann@/history?service=history",
    "postgresql://localhost.example/history",
)
DEBIAN, RED_HAT, MACOS = "etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/cert.pem"


@pytest.fixture(name="server", scope="module")
def _tls_server() -> Iterator[tuple[str, Path]]:
    with tls_server() as found:
        yield found


@pytest.fixture(name="home", autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's own root.crt takes part in a test."""
    for name in ("PGSSLROOTCERT", "SSL_CERT_FILE", "PGHOST", "PGHOSTADDR", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def put(root: Path, *places: str) -> None:
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()


@pytest.mark.parametrize("url", LOCAL)
def test_a_database_on_this_machine_need_not(url: str, tmp_path: Path) -> None:
    assert is_local(make_url(url), {})
    assert verification(make_url(url), {}, tmp_path) == {}


@pytest.mark.parametrize("url", REMOTE)
def test_a_database_elsewhere_has_to(url: str, home: Path) -> None:
    put(home, DEBIAN)

    assert not is_local(make_url(url), {})
    assert verification(make_url(url), {"HOME": "/nowhere"}, home) == {
        "sslmode": "verify-full",
        "sslrootcert": str(home / DEBIAN),
    }


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGSERVICE"])
def test_an_address_without_a_host_is_where_the_environment_says(name: str) -> None:
    assert not is_local(make_url("postgresql:///history"), {name: "10.0.0.5"})


@pytest.mark.parametrize("bundle", [DEBIAN, RED_HAT, MACOS])
def test_the_systems_authorities_are_found_on_each_system(bundle: str, home: Path) -> None:
    put(home, bundle)

    found = verification(make_url("postgresql://db.example/history"), {"HOME": "/nowhere"}, home)

    assert found["sslrootcert"] == str(home / bundle)


def test_what_somebody_chose_wins(home: Path) -> None:
    put(home, DEBIAN, "mine.pem", ".postgresql/root.crt")
    nobody, mine = {"HOME": "/nowhere"}, str(home / "mine.pem")

    def found(query: str, environ: dict[str, str] = nobody) -> dict[str, str]:
        return verification(make_url(f"postgresql://db.example/history?{query}"), environ, home)

    assert found("sslmode=require") == found("sslmode=disable") == found("sslmode=verify-ca&sslrootcert=x") == {}
    assert found("sslrootcert=x") == {"sslmode": "verify-full"}
    assert found("", nobody | {"PGSSLROOTCERT": mine}) == {"sslmode": "verify-full"}
    assert found("", {"HOME": str(home)}) == {"sslmode": "verify-full"}  # libpq reads ~/.postgresql/root.crt by itself
    assert found("", nobody | {"SSL_CERT_FILE": mine})["sslrootcert"] == mine
    assert found("sslrootcert=system", {"HOME": str(home)})["sslrootcert"] == str(home / DEBIAN)
    here = verification(make_url("postgresql://localhost/history?sslmode=verify-full"), nobody, home)
    assert here == {"sslmode": "verify-full", "sslrootcert": str(home / DEBIAN)}


def test_no_authorities_at_all_are_a_fault_of_the_set_up(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"no list of trusted authorities was found .*ca-certificates.*sslrootcert="):
        verification(make_url("postgresql://db.example/history"), {"HOME": "/nowhere"}, home)


async def test_a_server_that_proves_who_it_is_records_over_tls(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, trusted = server
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    upgrade(url, lambda _: None)
    store = Store(url)
    await store.open()
    await store.close()

    assert (await report(url)).missing_rights == ()
    with migration_engine(url).connect() as connection:
        query = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert connection.scalar(query) is True


async def test_libpqs_own_file_counts(server: tuple[str, Path], home: Path) -> None:
    url, trusted = server
    (home / ".postgresql").mkdir()
    (home / ".postgresql" / "root.crt").write_bytes(trusted.read_bytes())

    assert (await report(url)).server_version


async def refusal(url: str) -> str:
    """Return why nothing is recorded or migrated there."""
    store = Store(url)
    with pytest.raises(StoreUnavailableError) as recording:
        await store.open()
    with pytest.raises(StoreUnavailableError) as migrating:
        upgrade(url, lambda _: None)
    assert str(recording.value).partition("failed")[0] == str(migrating.value).partition("failed")[0]
    return str(recording.value)


async def test_a_name_that_is_not_in_the_certificate_is_refused(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, trusted = server
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    said = await refusal(url.replace(HOST, "other.example"))

    assert f'server certificate for "{HOST}" does not match host name "other.example"' in said
    assert "sslrootcert= in the address" in said


async def test_an_authority_that_nobody_trusts_is_refused(
    server: tuple[str, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "other.pem").write_bytes(certificate(HOST)[1])
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "other.pem"))

    said = await refusal(server[0])

    assert "certificate verify failed" in said
    assert "an authority that is trusted here" in said


async def test_a_server_without_tls_is_refused(
    plain_server: str, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server[1]))
    elsewhere = plain_server.replace("@127.0.0.1:", f"@{HOST}:") + "?hostaddr=127.0.0.1"

    said = await refusal(elsewhere)

    assert "server does not support SSL" in said
    assert "sslmode= says what is enough" in said
    assert (await report(f"{elsewhere}&sslmode=disable")).server_version
