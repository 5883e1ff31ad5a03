"""Outages of the database, of every kind: nothing is lost, nobody restarts anything, and the log says what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import LiteralString

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from structlog.testing import capture_logs
from structlog.typing import EventDict

from poller.observation import Market, Observation
from poller.spool import Spool
from poller.storage.embedded import EmbeddedPostgres
from poller.storage.schema import upgrade
from poller.storage.store import WATCHDOG_SECONDS, Store
from poller.writer import Writer
from tests.support.database import close_to_others, end_stores, execute, new_database
from tests.support.frozen import frozen
from tests.support.passage import Passage, passage_to
from tests.support.replies import TIME, envelope, observed, usdm_asset, usdm_result
from tests.support.servers import administrative

# On a busy machine a healthy answer takes longer than half a second: only what must notice silence is that impatient.
PATIENT = 20.0
QUICK = 0.5
SILENCE = "the database does not answer"
Change = Callable[["Place"], Awaitable[None]]
BODY = envelope(usdm_result(assets=[usdm_asset("USDT", "5.5")]))


def poll_at(number: int) -> Observation:
    return observed(Market.USDM, BODY, time=TIME + timedelta(seconds=10 * number))


@dataclass(slots=True, kw_only=True)
class Place:
    """A writer on its way to a database.

    Attributes:
        url: Of the database itself.
        way: The passage that the writer takes.
        failures: The reasons that it gave for not storing.
    """

    url: str
    way: Passage
    spool: Spool
    store: Store
    writer: Writer
    failures: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _next: int = 0

    async def poll(self, count: int) -> None:
        for _ in range(count):
            await self.spool.append(poll_at(self._next))
            self.writer.wake()
            self._next += 1

    async def until_drained(self) -> None:
        self.writer.wake()
        await self.writer.drained.wait()

    def be_patient(self, seconds: float) -> None:
        """Take silence for an outage after so long, from the next call on."""
        self.store._watchdog_seconds = seconds

    def note(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        if event["event"] == "not storing":
            self.failures.put_nowait(event["reason"])
        return event

    async def until_failed(self) -> str:
        while not self.failures.empty():
            self.failures.get_nowait()
        return await self.failures.get()

    def stored(self) -> int:
        [(count,)] = execute(self.url, "SELECT count(*) FROM poller.polls WHERE status = 'ok'")
        return int(str(count))


@asynccontextmanager
async def place(url: str, folder: Path, *, through: str = "") -> AsyncIterator[Place]:
    """Have a writer run; `through` is the address that it uses, as far as it differs from `url`."""
    spool = await Spool.open(folder / "spool.sqlite", max_size=2**24)
    async with passage_to(through or url) as (way, address):
        store = Store(address, watchdog_seconds=PATIENT)
        writer = Writer(spool=spool, store=store)
        made = Place(url=url, way=way, spool=spool, store=store, writer=writer)
        with capture_logs([made.note]):
            async with asyncio.timeout(240), asyncio.TaskGroup() as tasks:
                task = tasks.create_task(writer.run())
                yield made
                task.cancel()
        await store.close()
        await spool.close()


def at_once(close: Callable[[Passage], None]) -> Change:
    """Close the passage in one manner."""

    async def change(at: Place) -> None:
        close(at.way)

    return change


def sql(statement: LiteralString) -> Change:
    """Change the database by a statement of its own, and end the writer's connections."""

    async def change(at: Place) -> None:
        name = Identifier(at.url.rpartition("/")[2])
        where = administrative(at.url) if "{name}" in statement else at.url
        execute(where, SQL(statement).format(name=name))
        end_stores(at.url)

    return change


FULL = """
CREATE FUNCTION poller.full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON poller.polls FOR EACH ROW EXECUTE FUNCTION poller.full_disk();
"""
OUTAGES: dict[str, tuple[Change, Change, str]] = {
    "refused": (at_once(Passage.refuse), lambda at: at.way.open(), "refused"),
    "reset": (at_once(Passage.reset), lambda at: at.way.open(), "connection"),
    "black hole": (at_once(Passage.swallow), lambda at: at.way.open(), SILENCE),
    "frozen": (at_once(Passage.freeze), lambda at: at.way.open(), SILENCE),
    "frozen after the commit": (
        at_once(partial(Passage.freeze, answers_only=True)),
        lambda at: at.way.open(),
        SILENCE,
    ),
    "read-only": (
        sql("ALTER DATABASE {name} SET default_transaction_read_only = on"),
        sql("ALTER DATABASE {name} RESET default_transaction_read_only"),
        "read-only transaction (SQLSTATE 25006)",
    ),
    "disk full": (sql(FULL), sql("DROP FUNCTION poller.full_disk CASCADE"), "(SQLSTATE 53100)"),
    "a table is gone": (
        sql("ALTER TABLE poller.raw_payloads RENAME TO elsewhere"),
        sql("ALTER TABLE poller.elsewhere RENAME TO raw_payloads"),
        "run `poller migrate`",
    ),
}


@pytest.mark.parametrize("kind", OUTAGES)
async def test_an_outage_loses_nothing_and_is_over_without_a_restart(
    kind: str, plain_database_url: str, tmp_path: Path
) -> None:
    begin, end, said = OUTAGES[kind]
    async with place(plain_database_url, tmp_path) as at:
        await at.poll(3)
        await at.until_drained()
        at.be_patient(QUICK if said == SILENCE else PATIENT)
        await begin(at)
        await at.poll(5)
        reasons = [await at.until_failed(), await at.until_failed()]
        await at.poll(5)
        at.be_patient(PATIENT)
        await end(at)
        await at.until_drained()

    assert any(said in reason for reason in reasons), reasons
    assert at.stored() == 13


async def test_a_database_that_is_absent_at_the_start_is_waited_for(plain_database_url: str, tmp_path: Path) -> None:
    async with place(plain_database_url, tmp_path) as at:
        at.way.refuse()
        await at.poll(5)
        await at.until_failed()
        await at.way.open()
        await at.until_drained()

    assert at.stored() == 5


async def test_a_server_whose_processes_are_stopped_is_noticed(
    durable_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    upgrade(durable_server.url, lambda _: None)
    async with place(durable_server.url, tmp_path) as at:
        await at.poll(1)
        await at.until_drained()
        at.be_patient(QUICK)
        with frozen(durable_server.url):
            await at.poll(5)
            while_stored, while_connecting = await at.until_failed(), await at.until_failed()
            at.be_patient(PATIENT)
        await at.until_drained()

        assert at.stored() == 6
    assert [while_stored, while_connecting] == [SILENCE] * 2


@pytest.mark.parametrize("asked", [b"pg_catalog.version()", b"alembic_version", b"INSERT INTO poller.polls"])
async def test_a_server_that_freezes_in_the_middle_of_a_question_is_hung_up_on(
    plain_database_url: str, tmp_path: Path, asked: bytes
) -> None:
    async with place(plain_database_url, tmp_path) as at:
        at.way.trap = asked
        at.be_patient(3)  # also with the questions before that one
        await at.poll(3)
        failed, beats = asyncio.create_task(at.until_failed()), 0
        while not failed.done():
            await asyncio.wait({failed}, timeout=0.1)
            beats += 1
        at.be_patient(PATIENT)
        await at.way.open()
        await at.until_drained()

    assert failed.result() == SILENCE
    assert beats < 80  # psycopg alone would need ten seconds after ours
    assert at.stored() == 3


def test_a_server_that_is_frozen_is_noticed_before_15_seconds_and_after_its_own_timeouts() -> None:
    assert 10 < WATCHDOG_SECONDS < 15


async def test_an_address_that_moves_to_an_older_copy_gets_what_the_copy_lacks(
    plain_server: str, plain_database_url: str, tmp_path: Path
) -> None:
    async with place(plain_database_url, tmp_path) as at:
        await at.poll(3)
        await at.until_drained()
        close_to_others(plain_server, plain_database_url)
        name = plain_database_url.rpartition("/")[2]
        with new_database(plain_server, extension=False, template=name) as copy:
            execute(plain_server, SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(name)))
            await at.poll(5)
            await at.until_drained()
            at.way.refuse()
            _exchange_names(plain_server, name, copy.rpartition("/")[2])
            await at.way.open()
            await at.poll(1)
            await at.until_drained()

            assert at.stored() == 9
            _exchange_names(plain_server, name, copy.rpartition("/")[2])


def _exchange_names(server: str, one: str, other: str) -> None:
    for old, new in ((one, "between"), (other, one), ("between", other)):
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        execute(server, ended, old)
        execute(server, SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(old), Identifier(new)))


@pytest.fixture(name="role")
def _role(plain_server: str) -> Iterator[str]:
    """A role that may do everything, with the password `old`."""
    role = f"test_{token_hex(8)}"
    execute(plain_server, SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD 'old'").format(Identifier(role)))
    yield role
    execute(plain_server, SQL("DROP ROLE {}").format(Identifier(role)))


@pytest.mark.parametrize("remedy", ["the old one again", "the new one in the pgpass file"])
async def test_a_changed_password_needs_no_restart(
    plain_database_url: str, role: str, tmp_path: Path, remedy: str
) -> None:
    host = plain_database_url.rpartition("@")[2]
    passfile = tmp_path / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text("*:*:*:*:old\n")

    def change(password: str) -> None:
        new = SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), password)
        execute(plain_database_url, new)
        execute(plain_database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", role)

    async with place(plain_database_url, tmp_path, through=f"postgresql://{role}@{host}?passfile={passfile}") as at:
        await at.poll(1)
        await at.until_drained()
        change("new")
        await at.poll(5)
        reasons = [await at.until_failed(), await at.until_failed()]
        if remedy == "the old one again":
            change("old")
        else:
            passfile.write_text("*:*:*:*:new\n")
        await at.until_drained()

    assert any("password authentication failed" in reason for reason in reasons)
    assert at.stored() == 6


async def test_a_lock_that_somebody_holds_delays_and_loses_nothing(plain_database_url: str, tmp_path: Path) -> None:
    impatient = f"{plain_database_url}?options=-c%20lock_timeout%3D200"
    async with place(plain_database_url, tmp_path, through=impatient) as at:
        with psycopg.connect(plain_database_url) as holder:
            holder.execute("LOCK TABLE poller.polls IN ACCESS EXCLUSIVE MODE")
            await at.poll(5)
            reason = await at.until_failed()
            holder.rollback()
        await at.until_drained()

    assert reason == "canceling statement due to lock timeout (SQLSTATE 55P03)"
    assert at.stored() == 5


async def test_partitions_that_cannot_be_made_ahead_stop_nothing(plain_database_url: str, tmp_path: Path) -> None:
    months = execute(
        plain_database_url,
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'poller.polls'::regclass",
    )
    newest = max(str(month) for (month,) in months).removeprefix("poller_parts.")
    execute(plain_database_url, SQL("DROP TABLE {}").format(Identifier("poller_parts", newest)))
    execute(plain_database_url, "CREATE TABLE poller.rest PARTITION OF poller.polls DEFAULT")
    execute(
        plain_database_url,
        "INSERT INTO poller.polls (time, account, market, status, attempts, instance)"
        " SELECT date_trunc('month', now()) + INTERVAL '3 months 2 days', 'other', 'usdm', 'timeout', 1, 'other'",
    )
    async with place(plain_database_url, tmp_path) as at:
        await at.poll(5)
        await at.until_drained()
        await at.poll(5)
        await at.until_drained()

    assert at.stored() == 10
    assert at.failures.empty()


async def test_a_month_without_a_partition_stops_nothing(plain_database_url: str, tmp_path: Path) -> None:
    async with place(plain_database_url, tmp_path) as at:
        await at.spool.append(observed(Market.USDM, BODY, time=TIME.replace(year=2020, month=2)))
        await at.poll(5)
        await at.until_drained()

    assert at.stored() == 6
    assert at.failures.empty()
