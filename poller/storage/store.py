"""Puts records into the database, each poll by one gated statement; the statements know the tables."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from poller.errors import EnvironmentMismatchError, StoreUnavailableError, UnstorableError
from poller.observation import Environment, Market, ModesMeasured, RunStarted, RunStopped, Status
from poller.records import Contract, Poll, Snapshot
from poller.storage.engine import recording_engine
from poller.storage.failures import misses_partition, translated_failures
from poller.storage.reference import SAVE_CONTRACTS, SAVE_MODES, contract_parameters, modes_parameters
from poller.storage.runs import (
    INSERT_ACCOUNT,
    START_RUN,
    STOP_RUN,
    account_parameters,
    start_parameters,
    stop_parameters,
)
from poller.storage.schema import head_revision
from poller.storage.session import Session, look, read_accounts
from poller.storage.statements import RELEASE, SAVE, save_parameters
from poller.storage.tier import Tier
from poller.storage.watchdog import hang_up_after

WATCHDOG_SECONDS: Final = 15.0
"""How long a call may wait, for the connection and again for the answer."""


class Saved(StrEnum):
    """What became of a snapshot: `REPLACED` when it took the place of a poll that was not ok."""

    NEW = "new"
    REPLACED = "replaced"
    EXISTING = "existing"


class Store:
    """The database of one writer, over one connection.

    Every call raises StoreUnavailableError when the database cannot serve it now. The store is closed then: `open` it
    again, which looks anew at what it finds, since a database that comes back may be another one.
    """

    def __init__(self, url: str, *, watchdog_seconds: float = WATCHDOG_SECONDS) -> None:
        self._engine = recording_engine(url)
        self._watchdog_seconds = watchdog_seconds
        self._session: Session | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the last call found the database well."""
        return self._session is not None

    @property
    def tier(self) -> Tier | None:
        """How the history tables of the open database are built."""
        return self._session.tier if self._session else None

    async def open(self) -> None:
        """Connect; raise StoreUnavailableError unless the schema is the one that this release writes."""
        await asyncio.to_thread(head_revision)  # reads files once
        async with self._connection(opening=True) as connection:
            self._session = await connection.run_sync(look)

    async def close(self) -> None:
        """Disconnect."""
        self._session = None
        await self._engine.dispose()

    async def move(self, url: str) -> None:
        """Close, and go on at another address of the same database from the next `open`."""
        async with self._one_at_a_time:
            await self.close()
            self._engine = recording_engine(url)

    async def register(self, accounts: Mapping[str, Environment]) -> None:
        """Make accounts known; raise EnvironmentMismatchError for a label of another environment."""
        async with self._connection() as connection:
            await self._register(connection, accounts)
        for account, environment in accounts.items():
            self._check_environment(account, environment)

    async def save(self, snapshot: Snapshot) -> Saved:
        """Store a poll with all its rows, or nothing.

        A malformed snapshot that cannot be a poll, because of its time or its environment, leaves its payload only.

        Raises:
            UnstorableError: The database refuses the data.
            EnvironmentMismatchError: The account belongs to another environment in this database.
        """
        poll = snapshot.poll
        async with self._connection() as connection:
            if poll.account not in self._opened().environments:
                # An old spool may hold accounts that left the configuration.
                await self._register(connection, {poll.account: snapshot.environment})
            if snapshot.rejected is None:
                self._check_environment(poll.account, snapshot.environment)
            foreign = self._opened().environments[poll.account] is not snapshot.environment
            return await _save(connection, snapshot, save_parameters(snapshot, foreign=foreign))

    async def save_run_started(self, run: RunStarted) -> None:
        """Store a run and what it promises; raise EnvironmentMismatchError as `register` does."""
        await self.register({promise.account: run.environment for promise in run.promises})
        async with self._connection() as connection:
            await connection.execute(START_RUN, start_parameters(run, head_revision()))

    async def save_run_stopped(self, run: RunStopped) -> None:
        """Store the orderly end of a run."""
        async with self._connection() as connection:
            await connection.execute(STOP_RUN, stop_parameters(run))

    async def save_modes(self, measured: ModesMeasured) -> None:
        """Store the modes of an account; raise EnvironmentMismatchError as `register` does."""
        await self.register({measured.account: measured.environment})
        async with self._connection() as connection:
            await connection.execute(SAVE_MODES, modes_parameters(measured))

    async def save_contracts(self, environment: Environment, market: Market, listed: Sequence[Contract]) -> int:
        """Store what is listed on a market, each symbol once; return how many rows are new or differ.

        Raises:
            UnstorableError: The database refuses the data; none is stored.
        """
        async with self._connection() as connection:
            return (await connection.execute(SAVE_CONTRACTS, contract_parameters(environment, market, listed))).rowcount

    async def ensure_partitions(self) -> int:
        """Create the partitions that this month and the next three miss; return how many."""
        async with self._connection() as connection:
            created: int = (await connection.execute(select(func.poller.ensure_partitions()))).scalar_one()
            return created

    def _opened(self) -> Session:
        if self._session is None:
            raise StoreUnavailableError("the database is not open")
        return self._session

    def _check_environment(self, account: str, environment: Environment) -> None:
        registered = self._opened().environments[account]
        if registered is not environment:
            raise EnvironmentMismatchError(
                f"account {account!r} is {environment.value} here but {registered.value} in the database: "
                "a label never changes its environment, choose another one"
            )

    async def _register(self, connection: AsyncConnection, accounts: Mapping[str, Environment]) -> None:
        missing = {account: where for account, where in accounts.items() if account not in self._opened().environments}
        if missing:
            await connection.execute(INSERT_ACCOUNT, account_parameters(missing))
            self._opened().environments.update(await connection.run_sync(read_accounts))

    @asynccontextmanager
    async def _connection(self, *, opening: bool = False) -> AsyncIterator[AsyncConnection]:
        async with self._one_at_a_time:
            if not opening:
                self._opened()
            try:
                with translated_failures():
                    async with AsyncExitStack() as leave:
                        async with asyncio.timeout(self._watchdog_seconds):
                            connection = await leave.enter_async_context(self._engine.connect())
                        async with hang_up_after(connection, self._watchdog_seconds):
                            yield connection
            except StoreUnavailableError:
                await self.close()
                raise


async def _save(connection: AsyncConnection, snapshot: Snapshot, parameters: dict[str, object]) -> Saved:
    poll = snapshot.poll
    try:
        outcome = (await connection.execute(SAVE, parameters)).one()
    except DBAPIError as exc:
        if not misses_partition(exc):
            raise
        await connection.execute(select(func.poller.ensure_partitions(poll.time)))
        outcome = (await connection.execute(SAVE, parameters)).one()
    if outcome.replaced_status == Status.MALFORMED:
        await connection.execute(RELEASE, _release_parameters(poll, snapshot.environment))
    if outcome.passed:
        return Saved.REPLACED if outcome.replaced_status else Saved.NEW
    if not outcome.storable and snapshot.rejected is None:
        raise UnstorableError(f"no history is kept for {poll.time.isoformat()}")
    return Saved.NEW if outcome.kept else Saved.EXISTING


def _release_parameters(poll: Poll, environment: Environment) -> dict[str, object]:
    return {"time": poll.time, "account": poll.account, "market": poll.market.value, "environment": environment.value}
