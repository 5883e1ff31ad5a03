"""The poller itself: what it recorded and missed, how fast, and against which limits."""

from grafana.generator import columns, metrics, statuses, variables
from grafana.generator import recording_queries as queries
from grafana.generator.dashboards import Row, dashboard, gaps
from grafana.generator.panels import Json, Look, lines, stat, table


def recording() -> Json:
    """Return the dashboard of the poller."""
    return dashboard(
        "poller",
        "Poller / Poller",
        "Whether everything is recorded: ticks by how they ended, latency, gaps, request weight and clock. A line is "
        "broken where nothing was recorded.",
        rows=(_now(), _ticks(), _limits(), _history(), metrics.row()),
        variables=(variables.account(several=True), variables.market()),
        annotations=(gaps(),),
    )


def _now() -> Row:
    return Row(panels=tuple((4, one) for one in (*_recorded(), *_measured())), height=4)


def _recorded() -> tuple[Json, ...]:
    success = stat(
        "Recorded in the range",
        "Of the ticks that were promised, those with an ok poll; by whole hours.",
        queries.SUCCESS,
        Look(
            no_data="No tick in this range",
            unit="percentunit",
            decimals=2,
            steps=((None, "red"), (0.99, "orange"), (0.999, "green")),
        ),
    )
    missed = stat(
        "Missed in the range",
        "Promised ticks without an ok poll; by whole hours.",
        queries.MISSED,
        Look(no_data="No tick in this range", unit="locale", steps=((None, "green"), (1, "orange"))),
    )
    newest = stat(
        "Oldest last poll",
        "Since the last ok poll of the account and market that waits longest; of one that never had any, since it was "
        "promised.",
        queries.NEWEST,
        Look(unit="s", no_data="Nothing is to be recorded"),
        background=False,
    )
    return success, missed, newest


def _measured() -> tuple[Json, ...]:
    weight = stat(
        "Request weight",
        "What this IP address had used of its weight a minute, as the newest poll was told; another program on the "
        "same address counts, too.",
        queries.last("weight used", "weight"),
        Look(
            no_data="No poll",
            unit="percentunit",
            decimals=1,
            steps=((None, "green"), (0.5, "orange"), (0.8, "red")),
        ),
    )
    clock = stat(
        "Clock",
        "How far the exchange was ahead of the host's clock, at the newest poll.",
        queries.last("exchange - host", "offset_seconds"),
        Look(
            no_data="No poll",
            unit="s",
            decimals=0,
            steps=((None, "red"), (-1, "orange"), (-0.25, "green"), (0.25, "orange"), (1, "red")),
        ),
    )
    delay = stat(
        "Reply to database",
        "From the reply of the newest poll to its row: how long it waited in the spool. The two clocks are the "
        "exchange's and the database's.",
        queries.last("in the spool", "delay"),
        Look(no_data="No poll", unit="s", decimals=1, steps=((None, "green"), (10, "orange"), (60, "red"))),
    )
    return weight, clock, delay


def _ticks() -> Row:
    ticks = lines(
        "Ticks by how they ended",
        "Up to a day every status, see the column status of polls. In longer ranges, by whole hours, ok, failed (a "
        "poll without an ok reply) and missed (promised, and no poll at all).",
        queries.TICKS,
        Look(
            no_data="No tick in this range",
            minimum=0,
            overrides=statuses.colors(),
        ),
        drawStyle="bars",
        fillOpacity=80,
        stacking={"group": "A", "mode": "normal"},
    )
    ticks["maxDataPoints"] = 120
    latency = lines(
        "Latency",
        "From sending the request to its reply, by a monotonic clock: half, 95 and 99 % of the polls of each step were "
        "faster. Up to a day of all polls; in longer ranges of a dozen of each account and market for each step.",
        queries.LATENCY,
        Look(
            no_data="No poll in this range",
            unit="s",
            name="${__field.name}, ${__field.labels.market}",
            minimum=0,
        ),
    )
    latency["maxDataPoints"] = 120
    return Row(panels=((12, ticks), (12, latency)), height=9)


def _limits() -> Row:
    sampled = " Up to a day the polls themselves; in longer ranges a dozen of each account and market for each step."
    weight = lines(
        "Request weight against the limit",
        "The highest that the exchange said this IP address had used in a minute, and its limit." + sampled,
        queries.over_time('max(weight_used) AS used, max(weight_limit) AS "limit"'),
        Look(no_data="No poll in this range", name="${__field.name}, ${__field.labels.market}", minimum=0),
    )
    clock = lines(
        "Clock offset",
        "Lowest and highest: how far the exchange was ahead of the host's clock." + sampled,
        queries.over_time("min(clock_offset_ms) / 1000.0 AS lowest, max(clock_offset_ms) / 1000.0 AS highest"),
        Look(no_data="No poll in this range", unit="s", name="${__field.name}, ${__field.labels.market}"),
        axisSoftMin=-0.01,
        axisSoftMax=0.01,
    )
    delay = lines(
        "Reply to database",
        "The longest time from a reply to its row: how long it waited in the spool. After an outage of the database "
        "it is as long as the outage." + sampled,
        queries.over_time("extract(epoch FROM max(delay)) AS longest"),
        Look(no_data="No poll in this range", unit="s", name="${__field.labels.market}"),
    )
    for one in (weight, clock, delay):
        one["maxDataPoints"] = 120
    return Row(panels=((8, weight), (8, clock), (8, delay)), height=8)


def _history() -> Row:
    missed = table(
        "Gaps, the longest first",
        "Promised ticks without an ok poll. Up to a day every gap with its cause; in longer ranges the hours that have "
        "gaps. The causes are those of poll_gaps.",
        queries.LONGEST_GAPS,
        "No gap in this range",
        {
            "account": columns.column("Account"),
            "market": columns.MARKET,
            "from": columns.time("From"),
            "to": columns.time("To"),
            "missed_ticks": columns.column("Ticks", "locale", 90),
            "cause": columns.column("Cause"),
        },
    )
    runs = table(
        "Runs of the poller",
        "The newest 50 that began before the end of the range. One without an end runs, or crashed.",
        queries.RUNS,
        "No run",
        {
            "started_at": columns.time("Started"),
            "stopped_at": columns.time("Stopped"),
            "stop_reason": columns.column("Why"),
            "version": columns.column("Version", width=90),
            "instance": columns.column("Instance"),
            "schema_revision": columns.column("Schema"),
        },
    )
    return Row(panels=((12, missed), (12, runs)), height=9)
