"""What is learnt of a database when it is opened."""

from dataclasses import dataclass

from sqlalchemy import Connection

from poller.errors import StoreUnavailableError
from poller.observation import Environment
from poller.storage.runs import SELECT_ACCOUNTS
from poller.storage.schema import check_revision, current_revision
from poller.storage.tier import Tier, built_tier


@dataclass(frozen=True, slots=True)
class Session:
    """How the history tables are built, and whose accounts are whose; the latter grows with use."""

    tier: Tier
    environments: dict[str, Environment]


def look(connection: Connection) -> Session:
    """Return what there is; raise StoreUnavailableError unless the schema is the one that this release writes."""
    check_revision(current_revision(connection))
    tier = built_tier(connection)
    if tier is None:
        raise StoreUnavailableError("the table poller.polls is missing")
    return Session(tier=tier, environments=read_accounts(connection))


def read_accounts(connection: Connection) -> dict[str, Environment]:
    """Return the environment of every account that is registered."""
    return {account: Environment(environment) for account, environment in connection.execute(SELECT_ACCOUNTS)}
