"""The alerts that Grafana raises from the database alone, whether the poller lives or not."""

from typing import Final

from grafana.generator import alert_queries as queries
from grafana.generator.alerts import Alert, Group

_WHOSE: Final = "{{ $labels.account }} on {{ $labels.market }}"
_NUMBER: Final = '{{ printf "%.0f" $values.B.Value }}'
_TIME: Final = "{{ humanizeDuration $values.B.Value }}"
_SHARE: Final = "{{ humanizePercentage $values.B.Value }}"
_POOL: Final = "{{ $labels.pool }} of " + _WHOSE
_RATIOS: Final = ("poller-overview", "Margin ratio, the 20 worst pools")

_MARGIN: Final = Group(
    name="Poller: margin",
    interval="30s",
    alerts=(
        Alert(
            name="PollerMarginCritical",
            severity="critical",
            summary=f"Close to liquidation: {_POOL}",
            description=f"Its margin ratio is {_SHARE}; liquidation is at 100 %.",
            sql=queries.MARGIN,
            above=0.95,
            panel=_RATIOS,
        ),
        Alert(
            name="PollerMarginHigh",
            severity="warning",
            summary=f"Little margin left: {_POOL}",
            description=f"Its margin ratio is {_SHARE}; liquidation is at 100 %.",
            sql=queries.MARGIN,
            above=0.8,
            lasting="1m",
            panel=_RATIOS,
        ),
    ),
)

_RECORDING: Final = Group(
    name="Poller: recording",
    interval="1m",
    alerts=(
        Alert(
            name="PollerNoStoredPoll",
            severity="critical",
            summary=f"No poll of {{{{ if $labels.account }}}}{_WHOSE}{{{{ else }}}}any account{{{{ end }}}} "
            "reaches the database",
            description=f"{{{{ if $labels.account }}}}The newest is {_NUMBER} intervals old{{{{ else }}}}"
            "The database does not answer, or nobody has ever recorded into it{{ end }}: "
            "the poller is down, or cannot reach the database.",
            sql=queries.AGE,
            above=3,
            lasting="1m",
            no_data="Alerting",
            error="Alerting",
            panel=("poller-overview", "Not recorded now"),
        ),
        Alert(
            name="PollerGap",
            severity="warning",
            summary=f"A gap in the history of {_WHOSE}",
            description=f"{_NUMBER} promised ticks of late have no ok poll: what the account held then is unknown.",
            sql=queries.MISSED,
            above=2,
            panel=("poller-poller", "Gaps, the longest first"),
        ),
        Alert(
            name="PollerAccountRefused",
            severity="critical",
            summary=f"The exchange refuses {_WHOSE}",
            description="It is asked for again every 5 to 15 minutes; until it is accepted, nothing of it is recorded.",
            sql=queries.REFUSED,
            above=0,
            panel=("poller-poller", "Ticks by how they ended"),
        ),
        Alert(
            name="PollerAddressSilenced",
            severity="critical",
            summary=f"The exchange wants silence from the IP address that polls {_WHOSE}",
            description=f"{_NUMBER} ticks of the last minutes ended so: the address was paused or banned.",
            sql=queries.SILENCED,
            above=0,
            panel=("poller-poller", "Ticks by how they ended"),
        ),
        Alert(
            name="PollerWeightAboveShare",
            severity="warning",
            summary=f"The IP address that polls {_WHOSE} runs out of request weight",
            description=f"It used {_SHARE} of the limit in a minute of late, or all that the poller may use.",
            sql=queries.WEIGHT,
            above=0.8,
            panel=("poller-poller", "Request weight against the limit"),
        ),
        Alert(
            name="PollerSpoolGrowing",
            severity="warning",
            summary=f"Polls of {_WHOSE} wait in the spool",
            description=f"The newest poll in the database was stored {_TIME} after its reply.",
            sql=queries.STORED_LATE,
            above=60,
            lasting="2m",
            panel=("poller-poller", "Reply to database"),
        ),
        Alert(
            name="PollerDrift",
            severity="warning",
            summary=f"Replies of {_WHOSE} differ from what the exchange documents",
            description=f"{_NUMBER} times in the newest ones: unknown fields, or replies that cannot be understood.",
            sql=queries.DRIFT,
            above=0,
            panel=("poller-poller", "Ticks by how they ended"),
        ),
        Alert(
            name="PollerClockOff",
            severity="warning",
            summary=f"The clock of the host that polls {_WHOSE} is wrong",
            description=f"It differs from the exchange's by {_TIME}; ticks follow the exchange all the same.",
            sql=queries.CLOCK,
            above=1,
            lasting="5m",
            panel=("poller-poller", "Clock offset"),
        ),
    ),
)

GROUPS: Final = (_RECORDING, _MARGIN)
