"""What Prometheus reads: base units, few labels, and no account's name unless that is asked for."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, Info, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from poller.observation import Status
from poller.observe.readings import Readings

_LATENCIES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

Read = Callable[[], Readings]


class Metrics(Collector):
    """The readings as metrics, and the latencies of polls, which only a histogram keeps.

    Attributes:
        registry: What is exposed.
    """

    def __init__(self, read: Read, *, release: str, schema_revision: str, account_labels: bool) -> None:
        """Expose what `read` returns whenever somebody looks; `account_labels` adds the label `account`."""
        # When a counter began is of no use here, and would be a series beside each.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it without types
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._read = read
        self._whose = ["account", "market"] if account_labels else ["market"]
        self._latencies = Histogram(
            "poller_poll_latency_seconds",
            "From sending a request to receiving its reply, by a monotonic clock.",
            ["market"],
            buckets=_LATENCIES,
            registry=self.registry,
        )
        build = Info(
            "poller_build",
            "The release that runs, and the revision of the schema that it writes.",
            registry=self.registry,
        )
        build.info({"version": release, "schema_revision": schema_revision})
        ProcessCollector(registry=self.registry)

    def answered(self, market: str, latency_ms: int) -> None:
        """Count the latency of a poll."""
        self._latencies.labels(market).observe(latency_ms / 1000)

    def describe(self) -> tuple[Metric, ...]:
        """Name nothing ahead: the registry would ask for readings before there are any."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        readings = self._read()
        for series in readings.series:
            self._latencies.labels(series.market)  # what has not happened yet is 0 times, not unknown
        yield from self._polls(readings)
        yield from _markets(readings)
        yield from _counters(readings)
        yield from _gauges(readings)

    def _polls(self, readings: Readings) -> Iterator[Metric]:
        polls: Counter[tuple[str, ...]] = Counter()
        refused: Counter[tuple[str, ...]] = Counter()
        ages: dict[tuple[str, ...], float] = {}
        missed: dict[tuple[str, ...], float] = {}
        for series in readings.series:
            key = self._key(series.account, series.market)
            polls.update({(*key, status.value): 0 for status in Status})
            refused[key] += series.refused
            ages[key] = max(series.age_seconds, ages.get(key, 0.0))
            missed[key] = max(series.age_seconds / series.interval_seconds, missed.get(key, 0.0))
        for (account, market, status), number in readings.polls.items():
            polls[*self._key(account, market), status] += number
        stored = CounterMetricFamily(
            "poller_polls", "Polls that were stored, by how their tick ended.", labels=[*self._whose, "status"]
        )
        oldest = GaugeMetricFamily(
            "poller_last_stored_poll_age_seconds",
            "Since the tick of the newest stored poll, in exchange time; of several accounts the oldest.",
            labels=self._whose,
        )
        late = GaugeMetricFamily(
            "poller_last_stored_poll_age_intervals",
            "The same in intervals of the account; of several accounts the most.",
            labels=self._whose,
        )
        left = GaugeMetricFamily(
            "poller_accounts_refused", "Accounts that the exchange refuses now.", labels=self._whose
        )
        for family, values in ((stored, polls), (oldest, ages), (late, missed), (left, refused)):
            for labels, value in values.items():
                family.add_metric(list(labels), value)
            yield family

    def _key(self, account: str, market: str) -> tuple[str, ...]:
        return (account, market)[-len(self._whose) :]


def _markets(readings: Readings) -> Iterator[Metric]:
    opened = CounterMetricFamily("poller_connections", "Sockets opened to the exchange.", labels=["market"])
    connected = GaugeMetricFamily("poller_connected", "Whether there is a socket to the exchange.", labels=["market"])
    for market, number in readings.connections.items():
        opened.add_metric([market], number)
        connected.add_metric([market], readings.connected[market])
    yield opened
    yield connected


def _counters(readings: Readings) -> Iterator[Metric]:
    for name, text, value in (
        ("poller_polls_refused", "Polls lost because the spool had no room.", readings.polls_refused),
        ("poller_storing_retries", "How often storing was put off: the database could not serve.", readings.retries),
        ("poller_reply_drift", "Differences of stored replies from their documents.", readings.drift),
    ):
        yield CounterMetricFamily(name, text, value=value)


def _gauges(readings: Readings) -> Iterator[Metric]:
    for name, text, value in (
        ("poller_spool_entries", "What waits in the spool for the database.", readings.spool_entries),
        ("poller_spool_bytes", "Size of the spool.", readings.spool_bytes),
        ("poller_spool_oldest_entry_age_seconds", "Wait of the oldest entry.", readings.spool_oldest_seconds),
        ("poller_spool_damaged_entries", "Entries that could not be read.", readings.spool_damaged),
        ("poller_weight_used", "Request weight that this IP has used in this minute.", readings.weight_used),
        ("poller_weight_limit", "Request weight that one IP has in a minute.", readings.weight_limit),
        ("poller_weight_allowed", "The part of it that this poller may use.", readings.weight_allowed),
        ("poller_silence_seconds", "For how long the exchange wants silence.", readings.silent_seconds),
        ("poller_host_clock_off", "Whether the host clock is off by more than tolerated.", readings.host_clock_off),
        ("poller_stuck", "Whether something has stood still for too long.", readings.stuck is not None),
    ):
        yield GaugeMetricFamily(name, text, value=value)
    if readings.clock_offset_seconds is not None:  # unknown is no value, and above all not 0
        yield GaugeMetricFamily(
            "poller_clock_offset_seconds", "Exchange time minus host time.", value=readings.clock_offset_seconds
        )
