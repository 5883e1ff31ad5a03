"""What a user of the program relies on, from the command line to the rows."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from poller.codec import decompress
from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.simulator.faults import Delay, Drop, ErrorReply
from poller.simulator.journal import Journal
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import Writer
from tests.acceptance.conftest import Workplace
from tests.support.database import new_database
from tests.support.exchange import METHODS, truncated
from tests.support.secrecy import confide
from tests.support.writing import drained

Rows = Sequence[tuple[Any, ...]]

OF_A_BUSY_MACHINE = {"timeout", "disconnected", "skipped"}
"""What becomes of ticks, each a second, that a busy machine comes to late."""


def asked(journal: Journal) -> int:
    """Count the polls, not the requests for the time, the modes and the contracts."""
    return sum(request.method in METHODS.values() for request in journal.requests)


def query(url: str, statement: str) -> Rows:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


async def store_what_is_left(workplace: Workplace, database_url: str = "") -> None:
    """Store what a daemon has left in its spool: at its end it waits for the database no longer than a second."""
    spool = await Spool.open(workplace.directory / "spool.sqlite", max_size=2**30)
    await drained(Writer(spool=spool, store=Store(database_url or workplace.database_url)))
    await spool.close()


async def test_two_ticks_of_both_markets_are_stored(workplace: Workplace, exchange: SimulatedExchange) -> None:
    async with workplace.running("run") as program:
        await program.until("poll stored", count=4, status="ok")
        assert await program.stop() == 0
    stored = query(
        workplace.database_url,
        "SELECT market, extract(microsecond FROM time)::int % 1000000, count(*) FROM poller.polls WHERE status = 'ok'"
        " GROUP BY 1, 2 ORDER BY 1",
    )

    assert [row[:2] for row in stored] == [("coinm", 0), ("usdm", 0)]
    assert asked(exchange.journal) >= sum(row[2] for row in stored) >= 4


async def test_rows_are_what_the_exchange_said(workplace: Workplace, exchange: SimulatedExchange) -> None:
    async with workplace.running("run") as program:
        await program.until("poll stored", count=2, status="ok")
        assert await program.stop() == 0
    assets = query(
        workplace.database_url,
        "SELECT DISTINCT ON (market, asset) market, asset, wallet_balance::text FROM poller.asset_balances"
        " ORDER BY market, asset, time",
    )
    held = {
        (market.value, str(row["asset"]))
        for market in Market
        for row in exchange.result("main", market)["assets"]  # type: ignore[attr-defined]  # rows are plain JSON
        if float(row["walletBalance"])
    }

    assert held
    assert held <= {(market, asset) for market, asset, _ in assets}


async def test_sigterm_during_a_poll_lets_it_end_and_stores_it(
    workplace: Workplace, exchange: SimulatedExchange
) -> None:
    workplace.configure(interval="4s")
    async with workplace.running("run") as program:
        await program.until("poll stored", count=2, status="ok")
        exchange.faults.next(None, Delay(0.7), times=2)
        before = asked(exchange.journal)
        await exchange.journal.wait_until(lambda journal: asked(journal) >= before + 2)
        assert await program.stop() == 0
    await store_what_is_left(workplace)
    polls = query(workplace.database_url, "SELECT status, attempts FROM poller.polls ORDER BY time")
    runs = query(workplace.database_url, "SELECT stop_reason FROM poller.runs")

    assert sum(attempts for _, attempts in polls) == asked(exchange.journal)
    assert polls[-2:] == [("ok", 1), ("ok", 1)]
    assert runs == [("signal",)]


async def test_a_second_signal_ends_it_at_once_and_loses_nothing(
    workplace: Workplace, exchange: SimulatedExchange
) -> None:
    workplace.configure(interval="10s")
    async with workplace.running("run") as program:
        await program.until("database connected")
        exchange.faults.next(None, Drop(), times=None)
        await exchange.journal.wait_until(lambda journal: asked(journal) > 0)
        program.process.send_signal(signal.SIGTERM)
        await program.until("stopping")

        assert await program.stop(signal.SIGINT) == 128 + signal.SIGINT


async def test_kill_9_loses_nothing_that_was_spooled(workplace: Workplace) -> None:
    async with workplace.running("run") as program:
        await program.until("poll stored", count=2, status="ok")
        program.process.kill()
        await program.ended()
    async with workplace.running("run") as program:
        await program.until("poll stored", count=2, status="ok")
        assert await program.stop() == 0
    await store_what_is_left(workplace)
    gaps = query(
        workplace.database_url,
        'SELECT DISTINCT cause FROM poller.poll_gaps WHERE "to" < (SELECT max(started_at) FROM poller.runs)',
    )
    runs = query(workplace.database_url, "SELECT stopped_at IS NULL FROM poller.runs ORDER BY started_at")

    assert runs == [(True,), (False,)]
    assert {cause for (cause,) in gaps} - OF_A_BUSY_MACHINE <= {"crashed"}


async def test_without_a_schema_it_records_all_the_same_and_says_what_to_do(
    workplace: Workplace, exchange: SimulatedExchange, empty_database_url: str
) -> None:
    environ = {"DATABASE_URL": empty_database_url}
    async with workplace.running("run", environ=environ) as program:
        found = await program.until("not storing")
        assert "poller migrate" in found["reason"]
        await exchange.journal.wait_until(lambda journal: asked(journal) >= 4)
        code, output = await workplace.run("migrate", environ=environ)
        assert (code, output.splitlines()[-1]) == (0, "the schema is current")
        await program.until("poll stored", count=4, status="ok")
        assert await program.stop() == 0
    await store_what_is_left(workplace, empty_database_url)
    stored = query(empty_database_url, "SELECT count(DISTINCT time) = count(*) / 2, sum(attempts) FROM poller.polls")
    statuses = query(empty_database_url, "SELECT DISTINCT status FROM poller.polls")

    assert stored == [(True, asked(exchange.journal))]
    assert {status for (status,) in statuses} - OF_A_BUSY_MACHINE == {"ok"}


async def test_a_migration_that_waits_does_not_keep_it_from_recording(
    workplace: Workplace, exchange: SimulatedExchange, plain_server: str
) -> None:
    with (
        new_database(plain_server, extension=False) as url,
        psycopg.connect(url, autocommit=True) as other,
    ):
        other.execute("SELECT pg_advisory_lock(hashtext('poller migrations'))")
        async with workplace.running("run", "--migrate", environ={"DATABASE_URL": url}) as program:
            await program.until("schema not upgraded yet")
            await exchange.journal.wait_until(lambda journal: asked(journal) >= 4)
            other.execute("SELECT pg_advisory_unlock_all()")
            await program.until("poll stored", count=4, status="ok")
            assert await program.stop() == 0


async def test_a_migration_is_tried_again_when_the_database_is_there(
    workplace: Workplace, exchange: SimulatedExchange, plain_server: str
) -> None:
    with (
        new_database(plain_server, extension=False) as url,
        psycopg.connect(plain_server, autocommit=True) as administrator,
    ):
        name = Identifier(url.rpartition("/")[2])
        administrator.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        async with workplace.running("run", "--migrate", environ={"DATABASE_URL": url}) as program:
            await program.until("schema not upgraded")
            await exchange.journal.wait_until(lambda journal: asked(journal) >= 2)
            administrator.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            await program.until("poll stored", count=2, status="ok")
            assert await program.stop() == 0


async def test_without_a_database_it_records_into_the_spool(workplace: Workplace, exchange: SimulatedExchange) -> None:
    environ = {"DATABASE_URL": "postgresql://nobody:a-password@127.0.0.1:1/none"}
    async with workplace.running("run", environ=environ) as program:
        await program.until("not storing")
        await exchange.journal.wait_until(lambda journal: asked(journal) >= 6)
        assert await program.stop() == 0
    async with workplace.running("run") as program:
        await program.until("poll stored", count=6, status="ok")
        assert await program.stop() == 0

    assert "a-password" not in program.output


async def test_a_host_that_is_an_hour_wrong_files_history_in_exchange_time(
    workplace: Workplace, exchange: SimulatedExchange
) -> None:
    exchange.clock_offset = 3600.0
    async with workplace.running("run") as program:
        await program.until("clock measured", level="warning")
        await program.until("poll stored", count=4, status="ok")
        assert await program.stop() == 0
    stored = query(
        workplace.database_url,
        "SELECT DISTINCT round(extract(epoch FROM time - stored_at) / 60), attempts,"
        " round(clock_offset_ms / 60000.0) FROM poller.polls WHERE status = 'ok'",
    )
    statuses = query(workplace.database_url, "SELECT DISTINCT status FROM poller.polls")

    assert stored == [(60, 1, 60)]
    assert {status for (status,) in statuses} - OF_A_BUSY_MACHINE == {"ok"}


async def test_ticks_of_a_process_that_was_asleep_are_recorded_as_skipped(workplace: Workplace) -> None:
    async with workplace.running("run") as program:
        await program.until("poll stored", count=2, status="ok")
        program.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3.2)  # nothing tells of ticks that a stopped process misses: they are 3 s of real time
        program.process.send_signal(signal.SIGCONT)
        await program.until("poll stored", count=2, status="skipped")
        await program.until("poll stored", count=2, status="ok")
        assert await program.stop() == 0
    missing = query(
        workplace.database_url,
        "SELECT max(step) FROM (SELECT time - lag(time) OVER (PARTITION BY market ORDER BY time) AS step"
        " FROM poller.polls) AS steps",
    )
    gaps = query(workplace.database_url, "SELECT DISTINCT market, cause FROM poller.poll_gaps ORDER BY market")

    assert missing == [(timedelta(seconds=1),)]
    assert {("coinm", "skipped"), ("usdm", "skipped")} <= set(gaps)
    assert {cause for _, cause in gaps} <= OF_A_BUSY_MACHINE | {"stopped"}


async def test_the_embedded_database_is_started_again_when_it_dies(workplace: Workplace) -> None:
    del workplace.environ["DATABASE_URL"]
    directory = workplace.directory / "var" / "postgres"
    async with workplace.running("run") as program:
        await program.until("poll stored", count=2, status="ok")
        os.kill(int((directory / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await program.until("not storing")
        await program.until("poll stored", count=4, status="ok")
        url = f"postgresql://poller@127.0.0.1:{(directory / 'port').read_text().strip()}/poller"
        stored = query(
            f"{url}?passfile={directory / 'pgpass'}",
            "SELECT DISTINCT status, time - lag(time) OVER (PARTITION BY market ORDER BY time) FROM poller.polls",
        )
        assert await program.stop() == 0

    assert {status for status, _ in stored} - OF_A_BUSY_MACHINE == {"ok"}
    assert {step for _, step in stored} == {timedelta(seconds=1), None}
    assert not (directory / "data" / "postmaster.pid").exists()


async def test_a_malformed_reply_is_kept_and_polling_goes_on(workplace: Workplace, exchange: SimulatedExchange) -> None:
    exchange.faults.next(Market.USDM, truncated, times=None)
    async with workplace.running("run") as program:
        await program.until("poll stored", status="malformed")
        exchange.faults.clear()
        await program.until("poll stored", market="usdm", status="ok")
        assert await program.stop() == 0
    rejected = query(
        workplace.database_url,
        "SELECT DISTINCT market, reason, body IS NOT NULL, body_bytes > 100 FROM poller.rejected_payloads",
    )

    assert rejected == [("usdm", "Input data was truncated", True, True)]


async def test_a_refused_account_says_so_and_is_left_alone(workplace: Workplace, exchange: SimulatedExchange) -> None:
    message = "Invalid API-key, IP, or permissions."
    exchange.faults.next(Market.USDM, ErrorReply(status=401, code=-2015, msg=message), times=None)
    async with workplace.running("run") as program:
        refused = await program.until("poll stored", status="unauthorized")
        paused = await program.until("poll stored", status="paused")
        await program.until("poll stored", status="ok", market="coinm")
        assert await program.stop() == 0
    await store_what_is_left(workplace)
    sent = query(
        workplace.database_url, "SELECT status, attempts FROM poller.polls WHERE market = 'usdm' AND attempts > 0"
    )

    assert refused["error"] == message
    assert paused["error"].endswith(message)
    assert [status for status, _ in sent if status not in OF_A_BUSY_MACHINE] == ["unauthorized"]
    assert [seen.method for seen in exchange.journal.requests].count(METHODS[Market.USDM]) == sum(n for _, n in sent)


async def test_a_ban_survives_a_kill(workplace: Workplace, exchange: SimulatedExchange) -> None:
    async with workplace.running("run") as program:
        await program.until("poll stored", count=2, status="ok")
        exchange.ban(3600)
        await program.until("address banned")
        await program.until("poll stored", status="paused")
        program.process.kill()
        await program.ended()
    seen = len(exchange.journal.requests), len(exchange.journal.handshakes)
    async with workplace.running("run") as program:
        banned = await program.until("address banned")
        paused = await program.until("poll stored", status="paused")
        assert (len(exchange.journal.requests), len(exchange.journal.handshakes)) == seen
        assert await program.stop() == 0
    refused = [request.status for request in exchange.journal.requests if request.status == 418]

    assert "earlier run" in banned["reason"]
    assert "banned" in paused["error"]
    assert len(refused) <= 2  # one poll of each market was under way when the ban began


async def test_a_changed_key_and_one_that_may_trade_are_told(workplace: Workplace, exchange: SimulatedExchange) -> None:
    async with workplace.running("run") as program:
        told = await program.until("key may trade", account="main")
        assert await program.stop() == 0
    key = exchange.add_account("main")
    confide(key.api_key, key.api_secret)
    changed = {"BINANCE_API_KEY": key.api_key, "BINANCE_API_SECRET": key.api_secret or ""}
    async with workplace.running("run", environ=changed) as program:
        await program.until("key changed", account="main")
        assert await program.stop() == 0

    assert told["reason"] == "the account can trade and withdraw; the key is not known to be read-only"


async def test_once_polls_stores_and_shows_every_account(workplace: Workplace) -> None:
    code, output = await workplace.run("once")
    stored = query(workplace.database_url, "SELECT market, status FROM poller.polls ORDER BY market")

    assert code == 0
    assert "USDT" in output
    assert stored == [("coinm", "ok"), ("usdm", "ok")]


async def test_once_fails_when_a_poll_fails(workplace: Workplace, exchange: SimulatedExchange) -> None:
    exchange.faults.next(Market.COINM, ErrorReply(status=400, code=-1102, msg="no"))
    code, output = await workplace.run("once")

    assert code == 1
    assert "rejected" in output


async def test_once_beside_a_running_daemon_names_it(workplace: Workplace) -> None:
    async with workplace.running("run") as program:
        await program.until("database connected")
        code, output = await workplace.run("once")
        assert code == 3
        assert str(program.process.pid) in output
        assert await program.stop() == 0


async def test_check_finds_everything_good_and_writes_nothing(workplace: Workplace) -> None:
    code, output = await workplace.run("check")
    rows = query(workplace.database_url, "SELECT (SELECT count(*) FROM poller.accounts), count(*) FROM poller.polls")

    assert code == 0
    assert "FAIL" not in output
    assert output.count("key accepted") == 2
    assert "ok    durability: warning: fsync is off" in output
    assert rows == [(0, 0)]
    assert [path.name for path in workplace.directory.iterdir()] == ["config.yaml"]


async def test_check_names_what_is_not_good(workplace: Workplace, exchange: SimulatedExchange) -> None:
    exchange.revoke("main")
    code, output = await workplace.run(
        "check", environ={"DATABASE_URL": "postgresql://nobody:a-password@127.0.0.1:1/none"}
    )

    assert code == 1
    assert "FAIL  database" in output
    assert output.count("FAIL  account main") == 2
    assert "a-password" not in output


async def test_a_bad_configuration_names_every_fault_with_its_path(workplace: Workplace) -> None:
    (workplace.directory / "config.yaml").write_text(
        "exchange: {environment: live}\naccounts:\n  - {name: a b, intervall: 10s, api_secret: '${NOT_SET}'}\n",
        encoding="utf-8",
    )
    for command in ("run", "once", "check", "migrate"):
        code, output = await workplace.run(command)
        assert code == 2
        for place in ("accounts[0].name", "accounts[0].intervall", "accounts[0].api_secret"):
            assert place in output
        assert "Traceback" not in output


async def test_a_label_of_another_environment_is_refused_at_start(workplace: Workplace) -> None:
    code, _ = await workplace.run("once")
    assert code == 0
    workplace.configure(environment="testnet")
    code, output = await workplace.run("run")

    assert code == 2
    assert "'main' is testnet here but simulated in the database" in output


@pytest.mark.parametrize("command", ["run", "once", "check", "migrate", "replay", "renormalize", "psql", "simulate"])
async def test_every_command_explains_itself(workplace: Workplace, command: str) -> None:
    code, output = await workplace.run(command, "--help")

    assert code == 0
    assert f"poller {command}" in output


async def test_psql_has_a_database_elsewhere_prove_who_it_is(workplace: Workplace) -> None:
    program = workplace.directory / "psql"
    program.write_text('#!/bin/sh\necho "$1 $PGSSLMODE $PGSSLROOTCERT"\n', encoding="utf-8")
    program.chmod(0o755)
    elsewhere = {
        "DATABASE_URL": "postgresql://ann:secret@db.example/history",
        "PATH": f"{workplace.directory}:{os.environ['PATH']}",
        "SSL_CERT_FILE": str(program),
    }

    code, output = await workplace.run("psql", environ=elsewhere)
    missing, reason = await workplace.run("psql", environ={**elsewhere, "PATH": "/nowhere"})

    assert (code, output) == (0, f"postgresql://ann@db.example/history verify-full {program}\n")
    assert (missing, reason) == (
        1,
        "poller: there is no psql: for a database on another machine, install PostgreSQL's client\n",
    )


def everything(url: str) -> Iterator[str]:
    """Yield every row of every table as text, and every kept reply as it was received."""
    for (name,) in query(
        url, "SELECT relname FROM pg_class WHERE relnamespace = 'poller'::regnamespace AND relkind IN ('r', 'p')"
    ):
        with psycopg.connect(url) as connection:
            table = SQL("SELECT to_jsonb(t)::text FROM {} t").format(Identifier("poller", name))
            yield from (text for (text,) in connection.execute(table))
    for codec, body in query(url, "SELECT codec, body FROM poller.raw_payloads"):
        yield decompress(codec, body).decode()


async def test_no_table_holds_a_key_or_a_secret(workplace: Workplace, exchange: SimulatedExchange) -> None:
    key = exchange.key("main")
    refusal = ErrorReply(status=400, code=-1, msg=f"bad key {key.api_key} from 203.0.113.9")
    exchange.faults.next(Market.USDM, refusal, times=None)
    async with workplace.running("run") as program:
        await program.until("poll stored", status="rejected")
        await program.until("poll stored", count=2, status="ok")
        assert await program.stop() == 0
    rows = query(workplace.database_url, "SELECT error_message FROM poller.polls WHERE status = 'rejected'")
    text = str(list(everything(workplace.database_url)))

    assert rows == [("bad key *** from ***",)]
    assert "USDT" in text
    assert key.api_key not in text
    assert key.api_secret is not None
    assert key.api_secret not in text
