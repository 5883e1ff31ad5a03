from dataclasses import replace

from prometheus_client import generate_latest

from poller.observation import Status
from poller.observe.metrics import Metrics
from poller.observe.readings import Readings
from tests.support.readings import READINGS, SERIES


def exposed(readings: Readings = READINGS, *, account_labels: bool = False) -> str:
    metrics = Metrics(lambda: readings, release="1.2.3", schema_revision="abc", account_labels=account_labels)
    metrics.answered("usdm", 120)
    return generate_latest(metrics.registry).decode()


def samples(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("poller_")}


def test_metrics_are_in_base_units_and_name_no_account() -> None:
    text = exposed()

    assert "main" not in text
    assert {
        'poller_polls_total{market="usdm",status="ok"} 7.0',
        'poller_polls_total{market="usdm",status="timeout"} 1.0',
        'poller_last_stored_poll_age_seconds{market="usdm"} 3.5',
        'poller_poll_latency_seconds_bucket{le="0.1",market="usdm"} 0.0',
        'poller_poll_latency_seconds_bucket{le="0.2",market="usdm"} 1.0',
        'poller_connections_total{market="usdm"} 2.0',
        'poller_connected{market="usdm"} 1.0',
        "poller_spool_entries 3.0",
        "poller_spool_bytes 4096.0",
        "poller_spool_oldest_entry_age_seconds 1.5",
        "poller_reply_drift_total 6.0",
        "poller_storing_retries_total 4.0",
        "poller_weight_used 35.0",
        "poller_weight_limit 2400.0",
        "poller_clock_offset_seconds -0.25",
        'poller_build_info{schema_revision="abc",version="1.2.3"} 1.0',
    } <= samples(text)


def test_accounts_are_told_apart_where_that_is_asked_for() -> None:
    assert {
        'poller_polls_total{account="main",market="usdm",status="ok"} 5.0',
        'poller_polls_total{account="other",market="usdm",status="ok"} 2.0',
        'poller_accounts_refused{account="main",market="usdm"} 0.0',
    } <= samples(exposed(account_labels=True))


def test_of_several_accounts_the_oldest_age_counts() -> None:
    two = replace(READINGS, series=(SERIES, replace(SERIES, account="other", age_seconds=99.0, refused=True)))

    assert {
        'poller_last_stored_poll_age_seconds{market="usdm"} 99.0',
        'poller_last_stored_poll_age_intervals{market="usdm"} 9.9',
        'poller_accounts_refused{market="usdm"} 1.0',
    } <= samples(exposed(two))


def test_the_age_in_intervals_is_that_of_the_account_that_misses_the_most() -> None:
    slow = replace(SERIES, account="slow", interval_seconds=3600, age_seconds=1800.0)

    assert {
        'poller_last_stored_poll_age_seconds{market="usdm"} 1800.0',
        'poller_last_stored_poll_age_intervals{market="usdm"} 0.5',
    } <= samples(exposed(replace(READINGS, series=(SERIES, slow))))


def test_what_has_not_happened_is_told_as_zero() -> None:
    quiet = replace(READINGS, polls={}, series=(SERIES, replace(SERIES, market="coinm")))

    assert {
        *(f'poller_polls_total{{market="coinm",status="{status}"}} 0.0' for status in Status),
        'poller_poll_latency_seconds_count{market="coinm"} 0.0',
    } <= samples(exposed(quiet))


def test_no_metric_tells_when_another_began() -> None:
    assert "_created" not in exposed()


def test_an_offset_that_was_never_measured_is_no_metric() -> None:
    assert "poller_clock_offset_seconds" not in exposed(replace(READINGS, clock_offset_seconds=None))
