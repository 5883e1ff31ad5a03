"""What somebody who looks at a running daemon should know, although polls may well reach the database. Pure."""

from collections.abc import Iterator

from poller.observe.readings import Readings


def notices(readings: Readings) -> tuple[str, ...]:
    """Say what is not as it should be; nothing when all is."""
    return (*_of_the_exchange(readings), *_of_the_machine(readings))


def _of_the_exchange(readings: Readings) -> Iterator[str]:
    if readings.silent_seconds > 0:
        yield f"The exchange wants to hear nothing from this address for {readings.silent_seconds:.0f} s more."
    for market, is_connected in readings.connected.items():
        if not is_connected:
            yield f"There is no connection to {market}: it is tried again and again."
    for series in readings.series:
        if series.refused:
            yield f"The exchange refuses {series.account} {series.market}: it is asked again from time to time."
    if readings.drift:
        yield f"Replies differ from what the exchange documents ({readings.drift} did): the log says where."


def _of_the_machine(readings: Readings) -> Iterator[str]:
    if readings.polls_refused and not readings.spool_refuses:
        yield f"{readings.polls_refused} polls were lost since the start, because the spool had no room."
    if readings.spool_damaged:
        yield f"{readings.spool_damaged} rows of the spool could not be read: check the disk."
    if readings.host_clock_off and readings.clock_offset_seconds is not None:
        yield (
            f"The host's clock is off by {abs(readings.clock_offset_seconds):.1f} s: polls follow the exchange's, "
            "but set up time synchronisation."
        )
