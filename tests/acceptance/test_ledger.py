"""From SQL alone: why each promised tick without an ok poll has none, through several lives of one daemon."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from psycopg.sql import SQL, Identifier

from poller.observation import Market
from poller.simulator import SimulatedExchange
from poller.simulator.faults import Drop, ErrorReply, HangUp, HttpReply, Result, Rewritten
from poller.simulator.scripts import Stage
from tests.acceptance.conftest import Program, Workplace
from tests.support.database import close_to_others, execute
from tests.support.exchange import truncated
from tests.support.secrecy import confide

Key = tuple[str, str]
Gap = tuple[datetime, datetime, int, str]

USDM, COINM = Market.USDM, Market.COINM
SECOND = timedelta(seconds=1)
AFTER = ("paused", "skipped", "stopped")
NOT_ASKED = {"ok", "paused", "skipped", "disconnected"}
OF_A_BUSY_MACHINE = {"timeout", "disconnected"}
NOTHING = Result({"assets": [], "positions": []})
BULKY = Rewritten(lambda body: body[:-1] + b',"filler":"' + os.urandom(400_000).hex().encode() + b'"}')
CONFIG = """
exchange:
  environment: simulated
  weight_share: 1.0
  markets:
    usdm: {{ws_url: "{usdm_ws}", rest_url: "{rest}"}}
    coinm: {{ws_url: "{coinm_ws}", rest_url: "{rest}"}}
accounts:
{accounts}
spool: {{path: spool.sqlite, max_size: 1MiB}}
log: {{format: json, level: info}}
"""


class Lives:
    """One spool and one database, and the daemons that use them one after the other."""

    def __init__(self, workplace: Workplace, exchange: SimulatedExchange) -> None:
        self.workplace = workplace
        self.exchange = exchange
        for label in ("flat", "gone"):
            key = exchange.add_account(label)
            confide(key.api_key, key.api_secret)

    @asynccontextmanager
    async def life(self, **intervals: tuple[str, str]) -> AsyncIterator[Program]:
        """Run the daemon with these accounts: the interval and the markets of each."""
        accounts = "\n".join(
            f"  - {{name: {label}, interval: {interval}, markets: [{markets}],"
            f" api_key: '${{{label.upper()}_KEY}}', api_secret: '${{{label.upper()}_SECRET}}'}}"
            for label, (interval, markets) in intervals.items()
        )
        keys = {label: self.exchange.key(label) for label in intervals}
        environ = {f"{label.upper()}_KEY": key.api_key for label, key in keys.items()}
        environ |= {f"{label.upper()}_SECRET": key.api_secret or "" for label, key in keys.items()}
        config = CONFIG.format(
            usdm_ws=self.exchange.ws_url(USDM),
            coinm_ws=self.exchange.ws_url(COINM),
            rest=self.exchange.rest_url(USDM),
            accounts=accounts,
        )
        (self.workplace.directory / "config.yaml").write_text(config, encoding="utf-8")
        async with self.workplace.running("run", environ=environ) as program:
            yield program

    def refuse(self, market: Market, status: int, code: int, *, label: str = "main", times: int | None = 1) -> None:
        """Let the exchange refuse what comes next; where that means a silence, for a second."""
        again = self.exchange.server_ms() + 1000 if status in {418, 429} else None
        error = ErrorReply(status=status, code=code, msg="refused", retry_after_ms=again)
        self.exchange.faults.next(market, error, label=label, times=times)

    def gaps(self) -> Mapping[Key, list[Gap]]:
        """Return poll_gaps by account and market."""
        rows = execute(
            self.workplace.database_url,
            'SELECT account, market, "from", "to", missed_ticks, cause FROM poller.poll_gaps ORDER BY "from"',
        )
        found: dict[Key, list[Gap]] = {}
        for account, market, *gap in rows:
            found.setdefault((str(account), str(market)), []).append(tuple(gap))  # type: ignore[arg-type]  # as selected
        return found

    def ok(self, account: str, market: str) -> set[datetime]:
        """Return the ticks with an ok poll."""
        query = "SELECT time FROM poller.polls WHERE (account, market, status) = (%s, %s, 'ok')"
        rows = execute(self.workplace.database_url, query, account, market)
        return {time for (time,) in rows if isinstance(time, datetime)}

    def runs(self) -> list[tuple[datetime, datetime | None]]:
        """Return when each life began and ended in good order."""
        query = "SELECT started_at, stopped_at FROM poller.runs ORDER BY started_at"
        return execute(self.workplace.database_url, query)  # type: ignore[return-value]  # as selected

    def schedules(self) -> Mapping[str, list[tuple[int, datetime, datetime | None]]]:
        """Return what was promised on USDⓈ-M by account: interval in seconds, from when and until when."""
        rows = execute(
            self.workplace.database_url,
            "SELECT account, interval_seconds, valid_from, valid_to FROM poller.schedules WHERE market = 'usdm'"
            " ORDER BY valid_from",
        )
        found: dict[str, list[tuple[int, datetime, datetime | None]]] = {}
        for account, *promise in rows:
            found.setdefault(str(account), []).append(tuple(promise))  # type: ignore[arg-type]  # as selected
        return found


@pytest.fixture(name="lives")
def _lives(workplace: Workplace, exchange: SimulatedExchange) -> Lives:
    return Lives(workplace, exchange)


async def stored(program: Program, *statuses: str) -> None:
    """Read the log until a poll of each of these statuses was stored."""
    missing = set(statuses)
    while missing:
        missing.discard((await program.until("poll stored"))["status"])


def causes(gaps: list[Gap]) -> set[str]:
    return {cause for *_, cause in gaps}


def ticks(gaps: list[Gap], cause: str) -> set[datetime]:
    """Return the ticks that were missed for a cause, at an interval of a second."""
    found = set[datetime]()
    for first, last, missed, _ in (gap for gap in gaps if gap[3] == cause):
        found |= {first + number * SECOND for number in range(missed)}
        assert last == first + (missed - 1) * SECOND
    return found


async def tick_passed(exchange: SimulatedExchange) -> None:
    """Return when a whole second of the exchange's time has passed: a tick that nobody polled."""
    now = exchange.server_ms()
    while exchange.server_ms() // 1000 == now // 1000:  # noqa: ASYNC110 - nothing announces the time
        await asyncio.sleep(0.01)


async def seen(program: Program, account: str, status: str) -> None:
    """Return when a poll with this status was stored, be it now or before."""
    if not any(event.get("account") == account and event.get("status") == status for event in program.events):
        await program.until("poll stored", account=account, status=status)


async def met(program: Program, status: str, market: Market, fail: Callable[[], None]) -> None:
    """Let a poll fail until one was stored with this status: a busy machine takes an answer that is late for none."""
    stored = ""
    while stored != status:
        fail()
        while (stored := (await program.until("poll stored", account="main", market=market))["status"]) in NOT_ASKED:
            pass


async def fail_and_be_late(lives: Lives, program: Program) -> None:
    next_fault, refuse = lives.exchange.faults.next, lives.refuse
    await program.until("poll stored", count=2, account="flat", status="ok")
    await seen(program, "gone", "unauthorized")
    await seen(program, "gone", "paused")
    lives.exchange.faults.clear()
    refuse(USDM, 400, -1100, label="flat", times=None)
    await program.until("poll stored", account="flat", status="rejected")
    await met(program, "timeout", USDM, lambda: next_fault(USDM, Drop(), label="main"))
    await met(program, "malformed", USDM, lambda: next_fault(USDM, truncated, label="main"))
    await met(program, "exchange_error", USDM, lambda: refuse(USDM, 503, -1016))
    await met(program, "clock_skew", COINM, lambda: refuse(COINM, 400, -1021, times=2))
    await met(program, "rate_limited", COINM, lambda: refuse(COINM, 429, -1003))
    await program.until("poll stored", status="ok", market="coinm")
    await met(program, "banned", COINM, lambda: refuse(COINM, 418, -1003))
    await program.until("poll stored", status="ok", market="coinm")
    program.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2.1)  # nothing tells of ticks that a stopped process misses: they are 2 s of real time
    program.process.send_signal(signal.SIGCONT)
    await stored(program, "skipped", "ok")


async def fill_the_spool(lives: Lives, program: Program, server: str) -> set[datetime]:
    """Return USDⓈ-M ticks that were refused; COIN-M is disconnected meanwhile."""
    faults = lives.exchange.faults
    await stored(program, "ok")
    database = close_to_others(server, lives.workplace.database_url)
    faults.next(USDM, BULKY, times=None)
    faults.next(COINM, HttpReply(status=503), stage=Stage.HANDSHAKE, times=None)
    faults.next(COINM, HangUp())
    refused = [(await program.until("poll refused", market="usdm"))["time"] for _ in range(2)]
    faults.clear()
    execute(server, SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(database)))
    await program.until("poll stored", status="disconnected")
    await program.until("poll stored", count=2, status="spool_full", market="usdm")
    await program.until("poll stored", status="ok", market="usdm")
    return {datetime.fromisoformat(time) for time in refused}


async def live(lives: Lives, server: str) -> set[datetime]:
    """Let everything happen that a tick can be missed for, and return ticks that a full spool refused."""
    lives.refuse(USDM, 401, -2015, label="gone", times=None)
    lives.exchange.faults.next(USDM, NOTHING, label="flat", times=None)
    async with lives.life(main=("1s", "usdm, coinm"), flat=("1s", "usdm"), gone=("1s", "usdm")) as program:
        await fail_and_be_late(lives, program)
        assert await program.stop() == 0
    await tick_passed(lives.exchange)
    async with lives.life(main=("1s", "usdm, coinm")) as program:
        refused = await fill_the_spool(lives, program, server)
        program.process.kill()
        await program.ended()
    await tick_passed(lives.exchange)
    async with lives.life(main=("2s", "usdm")) as program:
        await program.until("poll stored", count=2, status="ok")
        assert await program.stop() == 0
    return refused


async def test_each_tick_without_an_ok_poll_says_why(lives: Lives, plain_server: str) -> None:
    refused = await live(lives, plain_server)

    gaps, schedules = lives.gaps(), lives.schedules()
    usdm, coinm = gaps["main", "usdm"], gaps["main", "coinm"]
    (_, first_stop), (second_start, _), (third_start, _) = lives.runs()
    assert first_stop

    # Polled and failed, each with its cause; skipped.
    assert causes(usdm) >= {"timeout", "malformed", "exchange_error", "paused", "skipped"}
    assert causes(coinm) >= {"clock_skew", "rate_limited", "banned", "disconnected", "skipped"}
    assert causes(gaps["gone", "usdm"]) - OF_A_BUSY_MACHINE == {"unauthorized", *AFTER}
    assert causes(gaps["flat", "usdm"]) - OF_A_BUSY_MACHINE == {"rejected", *AFTER}

    # Not running: stopped, crashed, and running without room.
    for found in (usdm, coinm):
        before = [gap for gap in found if gap[1] < third_start]  # its end, too, may be some time ago
        stopped = ticks(before, "stopped")  # while a busy machine ends, too
        assert first_stop < max(stopped) < second_start
        assert {second_start < time < third_start for time in ticks(before, "crashed")} == {True}
    assert ticks(usdm, "spool_full") >= refused

    # The interval was changed: what was promised before has its own ticks, and each of them is ok or in one gap.
    [(_, begun, changed), (interval, _, _)] = schedules["main"]
    assert (interval, changed) == (2, third_start)
    missed = [ticks([gap for gap in usdm if gap[1] < third_start], cause) for cause in causes(usdm)]
    polled = {time for time in lives.ok("main", "usdm") if time < third_start}
    promised = set(_seconds(begun, third_start))
    assert polled.union(*missed) == promised
    assert len(polled) + sum(map(len, missed)) == len(promised)

    # Retired accounts owe nothing from then on.
    for label in ("flat", "gone"):
        assert [retired for _, _, retired in schedules[label]] == [second_start]
        assert all(last < second_start for _, last, _, _ in gaps[label, "usdm"])

    # Flat: ok polls without rows.
    assert len(lives.ok("flat", "usdm")) >= 2
    for table in ("asset_balances", "positions"):
        rows = SQL("SELECT FROM poller.{} WHERE account = 'flat'").format(Identifier(table))
        assert execute(lives.workplace.database_url, rows) == []


def _seconds(first: datetime, last: datetime) -> Iterator[datetime]:
    time = first.replace(microsecond=0)
    time += SECOND if time < first else timedelta()
    while time < last:
        yield time
        time += SECOND
