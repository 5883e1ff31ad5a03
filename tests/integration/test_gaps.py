"""The view poll_gaps: every promised tick without an ok poll, and why."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from poller.observation import Environment, Market, Promise, RunStarted, RunStopped, Status
from poller.storage.store import Store
from tests.support.database import execute
from tests.support.snapshots import failed, ok, tick


async def start(
    store: Store, instance: str, at: datetime, *, interval: int | None = 10, recorder: str = "spool"
) -> None:
    """Store a run of which account `main` is all that it promises, if anything."""
    promises = (Promise(account="main", market=Market.USDM, interval_seconds=interval),) if interval else ()
    await store.save_run_started(
        RunStarted(
            instance=instance,
            recorder=recorder,
            release="0.1.0",
            environment=Environment.SIMULATED,
            started_at=at,
            promises=promises,
        )
    )


async def stop(store: Store, instance: str, at: datetime) -> None:
    await store.save_run_stopped(RunStopped(instance=instance, stopped_at=at, reason="asked to"))


async def poll(store: Store, instance: str, numbers: Iterable[int], status: Status = Status.OK) -> None:
    """Store polls of a run at the numbered ticks of 10 s."""
    for number in numbers:
        time = tick(number)
        await store.save(
            ok(time, instance=instance) if status is Status.OK else failed(time, status, instance=instance)
        )


async def retire(store: Store, at: datetime) -> None:
    """End the promise, so that no tick is missing after it."""
    await start(store, f"without promises since {at}", at, interval=None)


def gaps(url: str) -> list[tuple[object, ...]]:
    return execute(
        url,
        'SELECT account, market, "from", "to", missed_ticks, cause FROM poller.poll_gaps '
        'ORDER BY account, market, "from"',
    )


def gap(first: int, last: int, cause: str, *, ticks: int | None = None) -> tuple[object, ...]:
    """Return the row of a gap between two ticks of 10 s, both missed."""
    return "main", "usdm", tick(first), tick(last), ticks or last - first + 1, cause


async def test_a_kept_promise_has_no_gaps(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0))
    await poll(store, "run", range(10))
    await retire(store, tick(10))

    assert gaps(database_url) == []


async def test_polls_that_failed_alike_one_after_the_other_are_one_gap(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0))
    await poll(store, "run", (0, 4, 8))
    await poll(store, "run", (1, 2, 5, 7), Status.TIMEOUT)
    await poll(store, "run", (3, 6), Status.BANNED)
    await retire(store, tick(9))

    assert gaps(database_url) == [
        gap(1, 2, "timeout"),
        gap(3, 3, "banned"),
        gap(5, 5, "timeout"),
        gap(6, 6, "banned"),
        gap(7, 7, "timeout"),
    ]


async def test_a_poll_that_was_replaced_by_an_ok_one_is_no_gap(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0))
    await poll(store, "run", range(3), Status.TIMEOUT)
    await poll(store, "run", range(3))
    await retire(store, tick(3))

    assert gaps(database_url) == []


async def test_ticks_between_an_orderly_end_and_the_next_start_are_stopped(store: Store, database_url: str) -> None:
    await start(store, "one", tick(0))
    await poll(store, "one", range(3))
    await stop(store, "one", tick(4) + timedelta(seconds=1))
    await start(store, "two", tick(9) - timedelta(seconds=1))
    await poll(store, "two", range(9, 11))
    await retire(store, tick(11))

    assert gaps(database_url) == [gap(3, 8, "stopped")]


async def test_ticks_after_a_run_that_was_followed_without_an_end_are_crashed(store: Store, database_url: str) -> None:
    await start(store, "one", tick(0))
    await poll(store, "one", range(3))
    await start(store, "two", tick(9) - timedelta(seconds=1))
    await poll(store, "two", range(9, 11))
    await retire(store, tick(11))

    assert gaps(database_url) == [gap(3, 8, "crashed")]


async def test_a_crash_after_a_stop_is_told_apart(store: Store, database_url: str) -> None:
    await start(store, "one", tick(0))
    await poll(store, "one", range(2))
    await stop(store, "one", tick(2))
    await start(store, "two", tick(5))  # and never polls
    await start(store, "three", tick(8))
    await poll(store, "three", range(8, 10))
    await retire(store, tick(10))

    assert gaps(database_url) == [gap(2, 4, "stopped"), gap(5, 7, "crashed")]


async def test_ticks_that_the_same_run_left_out_are_skipped(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0))
    await poll(store, "run", (0, 1, 7, 8))
    await poll(store, "run", (2, 3), Status.SKIPPED)
    await retire(store, tick(9))

    assert gaps(database_url) == [gap(2, 6, "skipped")]


async def test_a_run_that_begins_to_poll_late_has_skipped(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0) - timedelta(seconds=3))
    await poll(store, "run", range(4, 6))
    await retire(store, tick(6))

    assert gaps(database_url) == [gap(0, 3, "skipped")]


async def test_what_a_silent_run_owes_is_unreported_once_it_is_two_intervals_old(
    store: Store, database_url: str
) -> None:
    [(now,)] = execute(database_url, "SELECT now()")
    assert isinstance(now, datetime)
    begin = now.astimezone(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)
    minutes = [begin + timedelta(minutes=number) for number in range(31)]
    await start(store, "run", begin, interval=60)
    for time in minutes[:20]:
        await store.save(ok(time, instance="run"))

    [(_, _, first, last, missed, cause)] = gaps(database_url)

    assert (first, cause) == (minutes[20], "unreported")
    assert (last, missed) in ((minutes[28], 9), (minutes[29], 10))  # the test may run over the turn of a minute


async def test_a_run_that_only_just_missed_a_tick_owes_nothing_yet(store: Store, database_url: str) -> None:
    [(soon,)] = execute(database_url, "SELECT now() + INTERVAL '10 minutes'")  # so that no hour turns during this
    assert isinstance(soon, datetime)
    begin = soon.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    await start(store, "run", begin - timedelta(hours=5), interval=3600)
    for hours in range(5, 1, -1):
        await store.save(ok(begin - timedelta(hours=hours), instance="run"))

    assert gaps(database_url) == []


async def test_a_stopped_run_that_nobody_followed_is_stopped_until_now(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0))
    await poll(store, "run", range(3))
    await stop(store, "run", tick(3))

    [(_, _, first, last, missed, cause)] = gaps(database_url)

    assert (first, cause) == (tick(3), "stopped")
    assert isinstance(last, datetime)
    assert missed == (last - tick(3)) / timedelta(seconds=10) + 1
    assert timedelta(seconds=20) < datetime.now(UTC) - last < timedelta(minutes=5)


async def test_a_promise_without_any_poll_is_a_gap(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0) + timedelta(seconds=1))
    await retire(store, tick(5))

    assert gaps(database_url) == [gap(1, 4, "crashed")]


async def test_a_retired_account_owes_nothing(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0))
    await poll(store, "run", range(3))
    await retire(store, tick(3))
    await start(store, "back", tick(8))
    await poll(store, "back", range(8, 10))
    await retire(store, tick(10))

    assert gaps(database_url) == []


async def test_an_interval_that_changed_counts_from_then_on(store: Store, database_url: str) -> None:
    await start(store, "ten", tick(0))
    await poll(store, "ten", range(6))
    await stop(store, "ten", tick(6))
    await start(store, "sixty", tick(12), interval=60)
    await poll(store, "sixty", (12, 18, 30))
    await retire(store, tick(31))

    assert gaps(database_url) == [gap(6, 11, "stopped"), gap(24, 24, "skipped")]


async def test_a_gap_over_a_change_of_the_interval_counts_each_part_by_its_own(store: Store, database_url: str) -> None:
    await start(store, "ten", tick(0))
    await poll(store, "ten", range(3))
    await start(store, "sixty", tick(6), interval=60)
    await poll(store, "sixty", (18,))
    await retire(store, tick(19))

    assert gaps(database_url) == [gap(3, 5, "crashed"), gap(6, 12, "skipped", ticks=2)]


async def test_two_recorders_fill_each_others_gaps(store: Store, database_url: str) -> None:
    await start(store, "a1", tick(0), recorder="a")
    await start(store, "b1", tick(0), recorder="b")
    await poll(store, "a1", (0, 1, 2))
    await poll(store, "b1", (3, 4, 5))
    await poll(store, "a1", (8, 9))
    await start(store, "a2", tick(10), interval=None, recorder="a")
    await start(store, "b2", tick(10), interval=None, recorder="b")

    assert gaps(database_url) == [gap(6, 7, "skipped")]


async def test_a_recorder_that_was_still_alive_explains_the_gap(store: Store, database_url: str) -> None:
    await start(store, "a1", tick(0), recorder="a")
    await start(store, "b1", tick(1), recorder="b")
    await poll(store, "a1", range(4))
    await stop(store, "b1", tick(2))
    await start(store, "a2", tick(9), recorder="a")
    await poll(store, "a2", range(9, 11))
    await start(store, "a3", tick(11), interval=None, recorder="a")
    await start(store, "b2", tick(11), interval=None, recorder="b")

    assert gaps(database_url) == [gap(4, 8, "crashed")]


async def test_where_recorders_promise_different_intervals_the_shortest_counts(store: Store, database_url: str) -> None:
    await start(store, "slow", tick(0), interval=60, recorder="a")
    await start(store, "fast", tick(6), interval=10, recorder="b")
    await poll(store, "slow", (0, 6, 12, 18))
    await poll(store, "fast", (7, 8, 9, 10))
    await start(store, "fast2", tick(12), interval=None, recorder="b")
    await start(store, "slow2", tick(19), interval=None, recorder="a")

    assert gaps(database_url) == [gap(11, 11, "crashed")]


async def test_polls_off_the_promised_ticks_neither_count_nor_hide_a_gap(store: Store, database_url: str) -> None:
    await start(store, "run", tick(0))
    await poll(store, "run", (0, 1, 4))
    for seconds, status in ((15, Status.OK), (25, Status.TIMEOUT)):
        time = tick(0) + timedelta(seconds=seconds)
        await store.save(ok(time, instance="x") if status is Status.OK else failed(time, status, instance="x"))
    await retire(store, tick(5))

    assert gaps(database_url) == [gap(2, 3, "skipped")]


async def test_a_poll_in_the_future_makes_no_gap_of_ticks_that_are_to_come(store: Store, database_url: str) -> None:
    [(later,)] = execute(database_url, "SELECT date_bin('1 hour', now(), 'epoch') + INTERVAL '20 hours'")
    assert isinstance(later, datetime)
    await start(store, "run", later - timedelta(hours=20), interval=3600)
    await store.save(ok(later - timedelta(hours=20), instance="run"))
    await store.save(ok(later, instance="run"))

    assert gaps(database_url) == []


async def test_accounts_and_markets_have_gaps_of_their_own(store: Store, database_url: str) -> None:
    everything = [(account, market) for account in ("a", "b") for market in Market]
    promises = tuple(Promise(account=account, market=market, interval_seconds=10) for account, market in everything)
    for instance, at, promised in (("one", tick(0), promises), ("two", tick(3), ())):
        await store.save_run_started(
            RunStarted(
                instance=instance, recorder="spool", release="0.1.0", environment=Environment.SIMULATED, started_at=at,
                promises=promised,
            )
        )  # fmt: skip
    for number in (0, 2):
        await store.save(ok(tick(number), account="a", instance="one"))

    assert gaps(database_url) == [
        ("a", "coinm", tick(0), tick(2), 3, "crashed"),
        ("a", "usdm", tick(1), tick(1), 1, "skipped"),
        ("b", "coinm", tick(0), tick(2), 3, "crashed"),
        ("b", "usdm", tick(0), tick(2), 3, "crashed"),
    ]


def cut(row: tuple[Any, ...], since: datetime, until: datetime) -> tuple[Any, ...] | None:
    """Return what lies of a gap of 10 s ticks from `since` until before `until`."""
    *whose, first, last, _, cause = row
    ticks = [number for number in range(100) if first <= tick(number) <= last and since <= tick(number) < until]
    return (*whose, tick(ticks[0]), tick(ticks[-1]), len(ticks), cause) if ticks else None


async def test_the_gaps_of_a_stretch_are_those_of_all_history_cut_off_at_its_ends(
    store: Store, database_url: str
) -> None:
    await start(store, "one", tick(0))
    await poll(store, "one", (0, 1, 5, 8, 9))
    await poll(store, "one", (2, 3, 6), Status.TIMEOUT)
    await start(store, "two", tick(14) - timedelta(seconds=1))
    await poll(store, "two", (14, 15, 20))
    await stop(store, "two", tick(22))
    await start(store, "three", tick(26))
    await poll(store, "three", range(26, 28))
    await retire(store, tick(30))
    everything = gaps(database_url)

    for first in range(-1, 32):
        for last in range(first + 1, 32):
            since, until = tick(first) + timedelta(seconds=first % 3), tick(last) + timedelta(seconds=last % 4)
            found = execute(
                database_url, 'SELECT * FROM poller.gaps_between(%s, %s) ORDER BY account, market, "from"', since, until
            )
            assert found == [part for row in everything if (part := cut(row, since, until))], (first, last)
    assert len(everything) > 5
