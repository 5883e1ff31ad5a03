"""What is remembered of keys between two starts, and who is warned of what."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from poller.config import load
from poller.daemon.check import opinion
from poller.daemon.keys import TradingWarnings, compare_keys, fingerprint, read_only_accounts
from poller.exchange.signing import Credentials, KeyKind, hmac_signer
from poller.normalize import Normalized
from poller.observation import Environment, Market, Status
from poller.poll import Target
from poller.records import Snapshot
from poller.spool import Spool
from tests.support.snapshots import TICK, poll_row, totals
from tests.support.snapshots import ok as usdm_snapshot
from tests.support.spools import fill

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = "k" * 64
MIB = 1024 * 1024


@pytest.fixture(name="spool")
async def _spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = await Spool.open(tmp_path / "spool.sqlite", max_size=MIB)
    yield spool
    await spool.close()


@pytest.fixture(name="full_spool")
async def _full_spool(spool: Spool) -> Spool:
    """A spool without room even for a note."""
    await fill(spool)
    return spool


def target(account: str = "main", *, key: str = KEY, signs: str = "s", market: Market = Market.USDM) -> Target:
    return Target(
        environment=Environment.LIVE,
        account=account,
        market=market,
        method="account.status",
        weight=5,
        interval_seconds=10,
        credentials=Credentials(key, hmac_signer(signs)),
    )


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def logged(spool: Spool, *targets: Target) -> list[tuple[str, str | None]]:
    with capture_logs() as logs:
        await compare_keys(spool, targets)
    assert KEY not in str(logs)
    return [(line["event"], line.get("account")) for line in logs]


def coinm(*, can_trade: bool | None, can_withdraw: bool | None, account: str = "main") -> Snapshot:
    rights = replace(totals(), can_trade=can_trade, can_withdraw=can_withdraw)
    poll = replace(poll_row(TICK, account=account), market=Market.COINM)
    return Snapshot(environment=Environment.LIVE, poll=poll, totals=rights)


def warned(warnings: TradingWarnings, *snapshots: Snapshot) -> list[str]:
    with capture_logs() as logs:
        for snapshot in snapshots:
            warnings(Normalized(snapshot=snapshot))
    assert {line["event"] for line in logs} <= {"key may trade"}
    return [f"{line['account']}: {line['reason']}" for line in logs]


async def test_a_key_that_changed_under_its_label_is_logged_once(spool: Spool) -> None:
    both = [target(), target(market=Market.COINM), target("other", key="o" * 64)]

    assert await logged(spool, *both) == []
    assert await logged(spool, *both) == []
    assert await logged(spool, target(signs="mended")) == []
    changed = [target(key="n" * 64), target(key="n" * 64, market=Market.COINM), both[2]]
    assert await logged(spool, *changed) == [("key changed", "main")]
    assert await logged(spool, *changed) == []


async def test_a_changed_key_is_noticed_after_a_restart(tmp_path: Path) -> None:
    for key, expected in ((KEY, []), ("n" * 64, [("key changed", "main")])):
        spool = await Spool.open(tmp_path / "again.sqlite", max_size=MIB)
        assert await logged(spool, target(key=key)) == expected
        await spool.close()


async def test_a_spool_that_cannot_compare_keys_does_not_stop_recording(full_spool: Spool) -> None:
    assert await logged(full_spool, target()) == [("keys not compared", None)]


async def test_the_spool_holds_no_key(spool: Spool, tmp_path: Path) -> None:
    await compare_keys(spool, [target()])
    await spool.close()

    assert KEY.encode() not in content(tmp_path)


def test_a_fingerprint_tells_keys_apart_in_one_spool_alone() -> None:
    credentials = target().credentials

    assert fingerprint(credentials, recorder="a") == fingerprint(target(signs="else").credentials, recorder="a")
    assert fingerprint(credentials, recorder="a") != fingerprint(credentials, recorder="b")
    assert fingerprint(credentials, recorder="a") != fingerprint(target(key=KEY[1:]).credentials, recorder="a")
    assert len(fingerprint(credentials, recorder="a")) == 16


@pytest.mark.parametrize(
    ("can_trade", "can_withdraw", "words"),
    [(True, True, "trade and withdraw"), (True, False, "trade"), (None, True, "withdraw")],
)
def test_an_account_that_can_do_more_than_its_key_should_is_told(
    *, can_trade: bool | None, can_withdraw: bool | None, words: str
) -> None:
    snapshot = coinm(can_trade=can_trade, can_withdraw=can_withdraw)

    assert warned(TradingWarnings(()), snapshot, snapshot) == [
        f"main: the account can {words}; the key is not known to be read-only"
    ]


def test_each_account_is_told_once_and_again_when_it_could_not_in_between() -> None:
    warnings = TradingWarnings(["safe"])
    able = [coinm(can_trade=True, can_withdraw=False, account=account) for account in ("main", "safe", "other")]

    assert [line.partition(":")[0] for line in warned(warnings, *able, *able)] == ["main", "other"]
    assert warned(warnings, coinm(can_trade=None, can_withdraw=None), *able) == []
    assert len(warned(warnings, coinm(can_trade=False, can_withdraw=False), *able)) == 1


def test_what_says_nothing_of_rights_is_passed_over() -> None:
    unable = [
        coinm(can_trade=False, can_withdraw=None),
        usdm_snapshot(),
        Snapshot(environment=Environment.LIVE, poll=replace(poll_row(TICK, Status.TIMEOUT), market=Market.COINM)),
    ]

    assert warned(TradingWarnings(()), *unable) == []


def test_keys_are_read_only_when_their_owner_says_so_or_the_simulator_made_them(tmp_path: Path) -> None:
    accounts = "accounts: [{name: a, key_is_read_only: true}, {name: b}]"
    keys = accounts.replace("name: a", "name: a, api_key: x, api_secret: y").replace(
        "name: b", "name: b, api_key: z, api_secret: y"
    )
    path = tmp_path / "config.yaml"
    for environment, text, expected in (("simulated", accounts, {"a", "b"}), ("live", keys, {"a"})):
        path.write_text(f"exchange: {{environment: {environment}}}\n{text}\n")
        assert read_only_accounts(load(path, {})) == expected


@pytest.mark.parametrize(
    ("can_trade", "can_withdraw", "words"),
    [
        (True, True, "; the account can trade and withdraw; the key is not known to be read-only"),
        (False, False, "; the account can neither trade nor withdraw; the key is not known to be read-only"),
        (None, None, ""),
    ],
)
def test_an_accepted_key_is_told_with_the_rights_of_its_account(
    *, can_trade: bool | None, can_withdraw: bool | None, words: str
) -> None:
    snapshot = coinm(can_trade=can_trade, can_withdraw=can_withdraw)

    assert opinion(snapshot, kind=KeyKind.RSA, read_only=False) == f"RSA key accepted{words}"
    assert "not known" not in opinion(snapshot, kind=KeyKind.RSA, read_only=True)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.UNAUTHORIZED, "Ed25519 key refused: the exchange does not accept the key"),
        (Status.DISCONNECTED, "Ed25519 key neither accepted nor refused, disconnected: the exchange was not reached"),
        (Status.MALFORMED, "Ed25519 key not refused: the reply was not understood"),
    ],
)
def test_without_an_accepted_key_it_is_told_why(status: Status, words: str) -> None:
    snapshot = Snapshot(environment=Environment.LIVE, poll=replace(poll_row(TICK, status), error_message="the reason"))

    told = opinion(snapshot, kind=KeyKind.ED25519, read_only=True)

    assert told.startswith(words)
    assert told.endswith("(the reason)")
