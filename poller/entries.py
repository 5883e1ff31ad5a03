"""One entry of the spool → the database: understood, or rejected with the reason, and stored."""

from dataclasses import replace

import structlog

from poller.errors import EnvironmentMismatchError, MalformedReplyError, UnstorableError
from poller.normalize import Normalized, normalize, reject
from poller.observation import Entry, ModesMeasured, Observation, RunStarted, RunStopped
from poller.storage.store import Saved, Store

_log = structlog.stdlib.get_logger()


async def save_entry(
    store: Store, entry: Entry, understood: Normalized | None = None
) -> tuple[Normalized | None, Saved | None]:
    """Store one entry, and tell what it was understood as and what became of it; neither when it is no poll.

    Raises:
        UnstorableError: The database refuses even that it was malformed.
        EnvironmentMismatchError: The account belongs to another environment in this database.
    """
    match entry:
        case RunStarted():
            await store.save_run_started(entry)
        case RunStopped():
            await store.save_run_stopped(entry)
        case ModesMeasured():
            await store.save_modes(entry)
        case Observation():
            understood = understood or understand(entry)
            try:
                return understood, await store.save(understood.snapshot)
            except (UnstorableError, EnvironmentMismatchError) as exc:
                understood = replace(understood, snapshot=reject(entry, str(exc)))
                return understood, await store.save(understood.snapshot)
    return None, None


def understand(observation: Observation) -> Normalized:
    """Normalise an observation, or reject it with the reason: whatever is in it, there are rows to store."""
    try:
        return normalize(observation)
    except MalformedReplyError as exc:
        return Normalized(snapshot=reject(observation, str(exc)), drift=exc.drift)
    except Exception as exc:  # noqa: BLE001 - whatever one reply breaks, what is behind it in the queue must be stored
        _log.exception("normalising failed unexpectedly", account=observation.account, market=observation.market.value)
        return Normalized(snapshot=reject(observation, f"internal error: {type(exc).__name__}: {exc}"))
