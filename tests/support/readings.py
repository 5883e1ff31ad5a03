"""What is seen of a daemon that is well."""

from typing import Final

from poller.observe.readings import Readings, Series

SERIES: Final = Series(
    account="main", market="usdm", interval_seconds=10, age_seconds=3.5, has_stored=True, refused=False
)

READINGS: Final = Readings(
    series=(SERIES,),
    polls={("main", "usdm", "ok"): 5, ("other", "usdm", "ok"): 2, ("main", "usdm", "timeout"): 1},
    polls_refused=0,
    spool_refuses=False,
    spool_entries=3,
    spool_bytes=4096,
    spool_oldest_seconds=1.5,
    spool_damaged=0,
    retries=4,
    drift=6,
    connections={"usdm": 2},
    connected={"usdm": True},
    weight_used=35,
    weight_limit=2400,
    weight_allowed=1200,
    silent_seconds=0.0,
    clock_offset_seconds=-0.25,
    host_clock_off=False,
    stuck=None,
)
