"""The alert rules of Grafana, each asked as Grafana would ask it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import pytest
import yaml
from psycopg.sql import SQL

from poller.exchange.budget import Budget
from poller.exchange.holds import _WORDS
from poller.exchange.verdict import Action
from poller.exchange.weight import Weight
from tests.support.grafana.alerting import Rule
from tests.support.grafana.situations import Recorded
from tests.support.plans import explain, is_history

FILE: Final = Path(__file__).parents[2] / "grafana" / "provisioning" / "alerting" / "poller.yaml"
RULES: Final = [Rule(rule) for group in yaml.safe_load(FILE.read_text("utf-8"))["groups"] for rule in group["rules"]]
TICKS: Final = range(15)

Situation = Callable[[Recorded, str], None]


def ticks(ok: Iterable[int], failed: Iterable[int] = ()) -> Situation:
    def record(recorded: Recorded, account: str) -> None:
        recorded.promise(account)
        recorded.poll(account, ok)
        recorded.poll(account, failed, "timeout", message="no reply")

    return record


def then(status: str, message: str | None = None, **told: object) -> Situation:
    """All is well until the newest tick."""

    def record(recorded: Recorded, account: str) -> None:
        ticks(TICKS[1:])(recorded, account)
        recorded.poll(account, [0], status, message=message, **told)

    return record


def held(action: Action) -> Situation:
    return then("paused", f"{_WORDS[action]} until 2026-11-21 12:00:00 UTC: what the exchange said")


def pool(needed: str, had: str, mode: str | None = "single_asset") -> Situation:
    """The cross pool of USDT is close to liquidation until the newest tick."""

    def record(recorded: Recorded, account: str) -> None:
        recorded.promise(account)
        recorded.poll(account, TICKS, mode=mode)
        recorded.asset(account, TICKS[1:], "99", "100")
        recorded.asset(account, [0], needed, had)

    return record


def multi_assets(needed: str) -> Situation:
    """What the whole account needs; its assets alone would be close to liquidation."""

    def record(recorded: Recorded, account: str) -> None:
        recorded.promise(account)
        recorded.poll(account, TICKS, mode="multi_assets", needed=needed, had="100")
        recorded.asset(account, TICKS, "99", "100")

    return record


def isolated(recorded: Recorded, account: str) -> None:
    pool("100", "1000")(recorded, account)
    recorded.isolated(account, [0], "90", "100")


def drift(place: str, tick: int) -> Situation:
    def record(recorded: Recorded, account: str) -> None:
        extra = {"extra": '{"newField": 1}'}
        recorded.promise(account)
        for number in TICKS:
            recorded.poll(account, [number], **(extra if (place, tick) == ("totals", number) else {}))
            recorded.asset(account, [number], "0", "1", **(extra if (place, tick) == ("asset", number) else {}))

    return record


def retired(recorded: Recorded, account: str) -> None:
    recorded.promise(account, 40, 20)
    recorded.poll(account, range(21, 40), "unauthorized", weight=2400, offset_ms=5000)


def slow(recorded: Recorded, account: str) -> None:
    """It is polled once a day, at a tick of the others."""
    recorded.promise(account, 1, step=timedelta(days=1))
    recorded.poll(account, [0], weight=2399, market="coinm")
    recorded.poll(account, [0])


SITUATIONS: Final[Mapping[str, tuple[Situation, set[str]]]] = {
    "well": (ticks(TICKS), set()),
    "slow": (slow, set()),
    "retired": (retired, set()),
    "began now": (lambda recorded, account: recorded.promise(account, 0), set()),
    "never polled": (lambda recorded, account: recorded.promise(account, 10), {"NoStoredPoll", "Gap"}),
    "late": (ticks(TICKS[1:]), set()),
    "down": (ticks(TICKS[4:]), {"NoStoredPoll"}),
    "long down": (ticks(TICKS[6:]), {"NoStoredPoll", "Gap"}),
    "failing": (ticks(TICKS[5:], TICKS[:5]), {"Gap"}),
    "failed twice": (ticks({*TICKS} - {3, 4}, (3, 4)), set()),
    "failed long ago": (ticks(TICKS[:11], TICKS[11:]), set()),
    "refused": (held(Action.REFUSE), {"AccountRefused"}),
    "rejected": (held(Action.ALERT), {"AccountRefused"}),
    "unauthorized": (then("unauthorized", "Invalid API-key, IP, or permissions for action."), {"AccountRefused"}),
    "silenced": (held(Action.PAUSE), {"AddressSilenced"}),
    "banned": (held(Action.BAN), {"AddressSilenced"}),
    "limited": (then("rate_limited", "Too many requests."), {"AddressSilenced"}),
    "market left alone": (held(Action.BACK_OFF), set()),
    "share used up": (then("paused", Budget(Weight(lambda: 0), share=0.5).reason), {"WeightAboveShare"}),
    "much used": (then("ok", weight=2000), {"WeightAboveShare"}),
    "stored late": (then("ok", stored_after=timedelta(seconds=90)), {"SpoolGrowing"}),
    "malformed": (then("malformed", "$.positions: not an array"), {"Drift"}),
    "unknown field of the account": (drift("totals", 0), {"Drift"}),
    "unknown field of an asset": (drift("asset", 0), {"Drift"}),
    "unknown field no more": (drift("asset", 1), set()),
    "clock ahead": (then("ok", offset_ms=-1500), {"ClockOff"}),
    "clock not measured": (then("ok", offset_ms=None), set()),
    "half used": (pool("50", "100"), set()),
    "high": (pool("81", "100"), {"MarginHigh"}),
    "critical": (pool("96", "100"), {"MarginHigh", "MarginCritical"}),
    "lost everything": (pool("10", "-5"), {"MarginHigh", "MarginCritical"}),
    "owes fees": (pool("0", "-5"), set()),
    "mode unknown": (pool("96", "100", mode=None), set()),
    "multi-assets": (multi_assets("30"), set()),
    "multi-assets high": (multi_assets("85"), {"MarginHigh"}),
    "isolated": (isolated, {"MarginHigh"}),
}


@pytest.fixture(name="connection")
def _connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def accounts(rule: Rule, url: str) -> set[str]:
    return {dict(series)["account"] for series in rule.fires(url)}


def test_every_alert_fires_for_those_whom_it_is_about_and_for_nobody_else(
    connection: psycopg.Connection, database_url: str
) -> None:
    recorded = Recorded(connection)
    for account, (situation, _) in SITUATIONS.items():
        situation(recorded, account)
    expected = {
        rule.name: {name for name, (_, alerts) in SITUATIONS.items() if rule.name.removeprefix("Poller") in alerts}
        for rule in RULES
    }

    assert {rule.name: accounts(rule, database_url) for rule in RULES} == expected
    assert all(expected.values())


def test_what_is_well_is_told_of_each_account_and_market(connection: psycopg.Connection, database_url: str) -> None:
    recorded = Recorded(connection)
    for market in ("usdm", "coinm"):
        recorded.promise("main", market=market)
        recorded.poll("main", TICKS, market=market)
        recorded.asset("main", TICKS, "10", "100", market=market)

    for rule in RULES:
        values = rule.values(database_url)
        assert {(dict(series)["account"], dict(series)["market"]) for series in values} == {
            ("main", "usdm"),
            ("main", "coinm"),
        }
        assert rule.fires(database_url) == set()


def test_of_an_empty_database_one_alert_tells(database_url: str) -> None:
    assert all(rule.values(database_url) == {} for rule in RULES)
    assert [rule.name for rule in RULES if rule.fires(database_url)] == ["PollerNoStoredPoll"]


def test_a_pool_is_named(connection: psycopg.Connection, database_url: str) -> None:
    isolated(Recorded(connection), "main")
    [critical] = [rule for rule in RULES if rule.name == "PollerMarginCritical"]

    assert {dict(series)["pool"]: value for series, value in critical.values(database_url).items()} == {
        "cross USDT": 0.01,
        "isolated BTCUSDT LONG": 0.9,
    }


def test_a_rule_reads_a_few_minutes_of_the_history_whatever_there_is(
    connection: psycopg.Connection, database_url: str
) -> None:
    recorded = Recorded(connection, step=timedelta(seconds=1))
    for account in ("main", "other"):
        recorded.promise(account, 10_000)
        recorded.poll(account, range(10_000))
        recorded.asset(account, range(10_000), "10", "100")
    connection.execute("ANALYZE")

    for rule in RULES:
        reads = [node for node in explain(database_url, SQL(rule.sql)) if is_history(node)]
        assert reads
        assert "Seq Scan" not in {node["Node Type"] for node in reads if node["Actual Rows"]}, rule.name
        assert sum(node["Actual Rows"] * node["Actual Loops"] for node in reads) <= 2 * 310, rule.name
