"""Puts records into the database, polls by one gated statement; the statements know the tables."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncConnection as DriverConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from poller.errors import EnvironmentMismatchError, StoreUnavailableError, UnstorableError
from poller.observation import Environment, Market, ModesMeasured, RunStarted, RunStopped
from poller.records import Contract, Snapshot
from poller.storage.dropping import drop_history
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
from poller.storage.saving import Saved, ensure_partitions, refresh_rollups, save_snapshots
from poller.storage.schema import head_revision
from poller.storage.session import Session, look, read_accounts, read_server
from poller.storage.tier import Tier
from poller.storage.watchdog import hang_up_after

__all__ = ["WATCHDOG_SECONDS", "Saved", "Store"]

WATCHDOG_SECONDS: Final = 12.0
"""How long a call may wait, for the connection and again for the answer: longer than `statement_timeout`, so that a
server that lives says itself what kept it."""

_UNREACHED_SECONDS: Final = 1.0  # how much later an attempt ends that has no connection yet which could be hung up


class Store:
    """The database of one writer, over one connection.

    Every call raises StoreUnavailableError when the database cannot serve it now. The store is closed then: `open` it
    again, which looks anew at what it finds, since a database that comes back may be another one.

    Attributes:
        url: Where it is.
    """

    def __init__(self, url: str, *, watchdog_seconds: float = WATCHDOG_SECONDS) -> None:
        self.url = url
        self._driver: DriverConnection | None = None
        self._engine = recording_engine(url, on_connect=self._reached)
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

    async def recognise(self) -> None:
        """Raise StoreUnavailableError unless the server that was opened still answers.

        Behind a pooler's address a connection survives a failover: nothing but this tells that its server may lack the
        last polls.
        """
        async with self._connection() as connection:
            if await connection.run_sync(read_server) != self._opened().server:
                raise StoreUnavailableError("another server answers, or it was started anew")

    async def close(self) -> None:
        """Disconnect."""
        self._session = self._driver = None
        await self._engine.dispose()

    async def move(self, url: str) -> None:
        """Close, and go on at another address of the same database from the next `open`."""
        async with self._one_at_a_time:
            await self.close()
            self.url = url
            self._engine = recording_engine(url, on_connect=self._reached)

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
        async with self._connection() as connection:
            try:
                [saved] = await self._save(connection, [snapshot])
            except DBAPIError as exc:
                if not misses_partition(exc):
                    raise
                await ensure_partitions(connection, snapshot.poll.time)
                [saved] = await self._save(connection, [snapshot])
        if saved is Saved.REFUSED:
            raise UnstorableError(f"no history is kept for {snapshot.poll.time.isoformat()}")
        return saved

    async def save_all(self, snapshots: Sequence[Snapshot]) -> Sequence[Saved]:
        """Store polls in one transaction, each as `save` does, or none of them; no two may be of one tick.

        Raises:
            UnstorableError: Something in one of them stops them all: save each alone.
            EnvironmentMismatchError: As `save` does, for one of them.
        """
        async with self._connection() as connection:
            return await self._save(connection, snapshots)

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
            saved = await connection.execute(SAVE_CONTRACTS, contract_parameters(environment, market, listed))
            return int(saved.scalar_one())

    async def ensure_partitions(self) -> int:
        """Create the partitions that this month and the next three miss; return how many."""
        async with self._connection() as connection:
            return await ensure_partitions(connection, None)

    async def drop_history(self, history: str, *, keep: timedelta, now: datetime) -> int:
        """Drop what of a history table is older than `keep` in exchange time; return how many parts that were.

        Raises:
            HistoryInUseError: Somebody uses the table now, or the role may not drop; the store stays open.
        """
        async with self._connection() as connection:
            return await drop_history(connection, history, keep=keep, now=now)

    async def refresh_rollups(self) -> int:
        """Make the rollups anew that are queued, in part; return how many hours were finished, 0 when none is left."""
        async with self._connection() as connection:
            return await refresh_rollups(connection)

    def _reached(self, driver: DriverConnection) -> None:
        self._driver = driver

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

    async def _save(self, connection: AsyncConnection, snapshots: Sequence[Snapshot]) -> Sequence[Saved]:
        # An old spool may hold accounts that left the configuration; the oldest poll says where they belong.
        accounts = {snapshot.poll.account: snapshot.environment for snapshot in reversed(snapshots)}
        await self._register(connection, accounts)
        for snapshot in snapshots:
            if snapshot.rejected is None:
                self._check_environment(snapshot.poll.account, snapshot.environment)
        return await save_snapshots(connection, snapshots)

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
                        async with self._watched(), asyncio.timeout(self._watchdog_seconds + _UNREACHED_SECONDS):
                            connection = await leave.enter_async_context(self._engine.connect())
                        async with self._watched():
                            yield connection
            except StoreUnavailableError:
                await self.close()
                raise

    def _watched(self) -> AbstractAsyncContextManager[None]:
        return hang_up_after(lambda: self._driver, self._watchdog_seconds)
