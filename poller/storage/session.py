"""What is learnt of a database when it is opened."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from poller.errors import StoreUnavailableError
from poller.observation import Environment
from poller.storage.runs import SELECT_ACCOUNTS
from poller.storage.schema import check_revision, current_revision
from poller.storage.tier import Tier, built_tier

_SERVER: Final = text(
    "SELECT concat(pg_postmaster_start_time(), ' ', oid) FROM pg_database WHERE datname = current_database()"
)


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a database while it is open.

    Attributes:
        tier: How the history tables are built.
        environments: Whose accounts are whose; grows with use.
        server: Which database of which server answered, and since when that runs, see `read_server`.
    """

    tier: Tier
    environments: dict[str, Environment]
    server: str


def look(connection: Connection) -> Session:
    """Return what there is; raise StoreUnavailableError unless the schema is the one that this release writes."""
    check_revision(current_revision(connection))
    tier = built_tier(connection)
    if tier is None:
        raise StoreUnavailableError("the table poller.polls is missing")
    return Session(tier=tier, environments=read_accounts(connection), server=read_server(connection))


def read_server(connection: Connection) -> str:
    """Return what differs as soon as another server, a restarted one or another database of the same name answers."""
    return str(connection.scalar(_SERVER))


def read_accounts(connection: Connection) -> dict[str, Environment]:
    """Return the environment of every account that is registered."""
    return {account: Environment(environment) for account, environment in connection.execute(SELECT_ACCOUNTS)}
