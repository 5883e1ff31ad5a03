"""What the views say changed from one poll to the next, against the records that were stored."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from psycopg.sql import SQL, Identifier

from poller.records import Snapshot
from tests.support.database import execute
from tests.support.history.dataset import ok_snapshots
from tests.support.history.listing import SYMBOLS, UNLISTED, at

Amounts = Mapping[tuple[str, str], Decimal | None]

NOTHING = Decimal(0)


def neighbours() -> Iterator[tuple[Snapshot, Snapshot]]:
    """Yield each ok poll with the next of its account and market."""
    series = defaultdict(list)
    for snapshot in ok_snapshots():
        series[snapshot.poll.account, snapshot.poll.market].append(snapshot)
    for polls in series.values():
        yield from pairwise(polls)


def amounts(snapshot: Snapshot) -> Amounts:
    return {(row.symbol, row.position_side): row.position_amount for row in snapshot.positions}


def pnls(snapshot: Snapshot) -> Amounts:
    return {(row.symbol, row.position_side): row.unrealized_pnl for row in snapshot.positions}


def key(former: Snapshot, latter: Snapshot) -> tuple[object, ...]:
    return latter.poll.time, latter.poll.account, latter.poll.market.value, former.poll.time


def kind(before: Decimal, after: Decimal) -> str:
    if not before:
        return "opened"
    if not after:
        return "closed"
    if before * after < 0:
        return "flipped"
    return "increased" if abs(after) > abs(before) else "reduced"


def test_consecutive_polls_are_every_two_ok_polls_with_none_between_them(history_url: str) -> None:
    found = execute(history_url, "SELECT time, account, market, previous_time, elapsed FROM poller.consecutive_polls")

    assert sorted(found) == sorted(
        (*key(former, latter), latter.poll.time - former.poll.time) for former, latter in neighbours()
    )


def test_every_change_of_a_position_is_an_event_and_nothing_else_is(history_url: str) -> None:
    expected = []
    for former, latter in neighbours():
        before, after = amounts(former), amounts(latter)
        for which in before.keys() | after.keys():
            old, new = before.get(which, NOTHING), after.get(which, NOTHING)
            if old is not None and new is not None and old != new:
                expected.append((*key(former, latter), *which, kind(old, new), old, new, new - old))

    found = execute(
        history_url,
        "SELECT time, account, market, previous_time, symbol, position_side, event, previous_amount, position_amount, "
        "change FROM poller.position_events",
    )

    assert sorted(found) == sorted(expected)
    assert {row[6] for row in found} == {"opened", "increased", "reduced", "flipped", "closed"}


def test_every_change_of_a_wallet_is_there_with_the_symbols_that_were_traded(history_url: str) -> None:
    expected = []
    for former, latter in neighbours():
        before = {row.asset: row.wallet_balance for row in former.assets}
        after = {row.asset: row.wallet_balance for row in latter.assets}
        held = [{which: amount for which, amount in amounts(poll).items() if amount != 0} for poll in (former, latter)]
        traded = {which[0] for which in held[0].keys() | held[1].keys() if held[0].get(which) != held[1].get(which)}
        for asset in before.keys() | after.keys():
            old, new = before.get(asset, NOTHING), after.get(asset, NOTHING)
            assert old is not None
            assert new is not None
            if old != new:
                expected.append((*key(former, latter), asset, old, new, new - old, sorted(traded)))

    found = execute(
        history_url,
        "SELECT time, account, market, previous_time, asset, previous_balance, wallet_balance, change, symbols "
        "FROM poller.wallet_changes",
    )

    assert sorted(found) == sorted(expected)
    assert [] in [row[-1] for row in found]


def test_the_change_of_unrealised_pnl_covers_what_was_opened_and_what_was_closed(history_url: str) -> None:
    expected = {}
    for former, latter in neighbours():
        before, after = pnls(former), pnls(latter)
        for which in before.keys() | after.keys():
            old, new = before.get(which, NOTHING), after.get(which, NOTHING)
            unit = None if which[0] == UNLISTED else SYMBOLS[latter.poll.market][which[0]].margin
            change = None if old is None or new is None else new - old
            expected[*key(former, latter), *which] = (unit, old, new, change)

    found = execute(
        history_url,
        "SELECT time, account, market, previous_time, symbol, position_side, margin_asset, previous_unrealized_pnl, "
        "unrealized_pnl, change FROM poller.unrealized_pnl_change",
    )

    assert {row[:6]: row[6:] for row in found} == expected
    assert len(found) == len(expected)


def test_a_position_that_lived_between_two_polls_left_a_change_of_wallets_without_a_symbol(history_url: str) -> None:
    time = at(1, "17:10")

    events = execute(history_url, "SELECT * FROM poller.position_events WHERE account = 'main' AND time = %s", time)
    changes = execute(
        history_url,
        "SELECT asset, symbols FROM poller.wallet_changes WHERE account = 'main' AND time = %s ORDER BY asset",
        time,
    )

    assert events == []
    assert changes == [("BNB", []), ("USDT", [])]


def test_an_amount_that_was_not_sent_is_no_event(history_url: str) -> None:
    around = (at(1, "10:00"), at(1, "10:20"))

    [[unknown]] = execute(
        history_url,
        "SELECT count(*) FROM poller.positions WHERE position_amount IS NULL AND time BETWEEN %s AND %s",
        *around,
    )
    events = execute(
        history_url,
        "SELECT * FROM poller.position_events WHERE account = 'hedge' AND time BETWEEN %s AND %s",
        *around,
    )

    assert unknown == 1
    assert events == []


@pytest.mark.parametrize(
    "view",
    ["equity", "position_states", "exposure", "margin_pools", "position_events", "wallet_changes",
     "unrealized_pnl_change"],
)  # fmt: skip
def test_no_view_has_anything_to_say_of_an_instant_without_an_ok_poll(history_url: str, view: str) -> None:
    said = {
        row[0]
        for row in execute(
            history_url, SQL("SELECT (time, account, market)::text FROM poller.{}").format(Identifier(view))
        )
    }
    ok = {
        row[0]
        for row in execute(history_url, "SELECT (time, account, market)::text FROM poller.polls WHERE status = 'ok'")
    }

    assert said
    assert said <= ok


def test_a_change_over_a_gap_says_how_long_it_took(history_url: str) -> None:
    found: list[tuple[datetime, ...]] = execute(  # type: ignore[assignment] # two instants
        history_url,
        "SELECT previous_time, time FROM poller.consecutive_polls "
        "WHERE account = 'hedge' AND elapsed > INTERVAL '40 minutes'",
    )

    assert found == [(at(27, "16:20"), at(27, "17:30")), (at(1, "20:00"), at(1, "21:00"))]
