"""The simulated exchange as its users see it."""

import ipaddress
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from aiohttp import web

from poller.errors import ConfigError
from poller.observation import Market
from poller.simulator.accounts import Account
from poller.simulator.connection import Connection, ConnectionRules
from poller.simulator.http import Listener
from poller.simulator.journal import Journal
from poller.simulator.keys import IssuedKey, KeyType
from poller.simulator.replies import Row, account_result
from poller.simulator.scripts import Faults
from poller.simulator.state import State
from poller.simulator.venues import VENUES
from poller.simulator.weight import WeightLimits

_LOOPBACK = "127.0.0.1"
_STOPPING_SECONDS = 1.0
_GOING_AWAY = 1001


class SimulatedExchange:
    """Both markets on one TCP port: equal seeds, account labels and times give equal numbers.

    Keys are made anew in each process and are nobody's outside of it.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        rules: ConnectionRules | None = None,
        limits: WeightLimits | None = None,
    ) -> None:
        self._state = State(seed=seed, clock=clock, limits=limits or WeightLimits(), faults=Faults(seed))
        self._listener = Listener(self._state, rules or ConnectionRules())
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, IssuedKey] = {}
        self._runner: web.AppRunner | None = None
        self._address: tuple[str, int] | None = None

    async def start(self, host: str = _LOOPBACK, port: int = 0, *, allow_remote: bool = False) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            ConfigError: `host` can be reached from other machines and `allow_remote` is not set.
            OSError: The address cannot be listened on.
        """
        if not allow_remote and not _is_loopback(host):
            raise ConfigError([f"host: {host} is not a loopback address"])
        # Cancellation ends the handler of a frozen connection once its client has given up.
        runner = web.AppRunner(
            self._listener.application(), access_log=None, handler_cancellation=True, shutdown_timeout=_STOPPING_SECONDS
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._address = host, runner.addresses[0][1]

    async def stop(self) -> None:
        """Hang up on everybody and stop listening; it can be started again, on another port or the same."""
        if self._runner is None:
            return
        runner, self._runner, self._address = self._runner, None, None
        for site in tuple(runner.sites):
            await site.stop()
        await self.hang_up(code=_GOING_AWAY)
        await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def faults(self) -> Faults:
        """What is scripted to go wrong."""
        return self._state.faults

    @property
    def journal(self) -> Journal:
        """What was seen."""
        return self._state.journal

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The WebSockets that are open."""
        return tuple(connection for connection in self._listener.connections if connection.is_open)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._listening()[1]

    @property
    def clock_offset(self) -> float:
        """Seconds by which the exchange's clock is ahead; may be set at any time."""
        return self._state.clock_offset

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        self._state.clock_offset = seconds

    def server_ms(self) -> int:
        """Return the exchange's time in ms since the epoch."""
        return self._state.server_ms()

    def ws_url(self, market: Market) -> str:
        """Return the whole WebSocket address of a market."""
        return f"ws://{self._netloc()}{VENUES[market].websocket_path}"

    def rest_url(self, market: Market) -> str:  # noqa: ARG002 - one port serves both, callers need not know
        """Return the REST address of a market, without a path."""
        return f"http://{self._netloc()}"

    def add_account(
        self, label: str, *, key_type: KeyType = "hmac", multi_assets: bool = False, hedge: bool = False
    ) -> IssuedKey:
        """Open an account in both markets, or issue another key of it, and return the key."""
        account = Account(label=label, multi_assets=multi_assets, hedge=hedge)
        self._accounts[label] = account
        self._keys[label] = self._state.keyring.issue(account, key_type)
        return self._keys[label]

    def set_modes(self, label: str, *, multi_assets: bool | None = None, hedge: bool | None = None) -> None:
        """Switch the modes of an account from now on; None leaves one as it is."""
        account = self._accounts[label]
        account = replace(
            account,
            multi_assets=account.multi_assets if multi_assets is None else multi_assets,
            hedge=account.hedge if hedge is None else hedge,
        )
        self._accounts[label] = account
        self._state.keyring.change(account)

    def key(self, label: str) -> IssuedKey:
        """Return the key that was issued last for an account."""
        return self._keys[label]

    def revoke(self, label: str) -> None:
        """Make all keys of an account unknown."""
        self._state.keyring.revoke(label)

    def result(self, label: str, market: Market, at_ms: int | None = None) -> Row:
        """Return what an account's method tells at an instant, now by default."""
        at_ms = self.server_ms() if at_ms is None else at_ms
        return account_result(self._state.seed, self._accounts[label], market, at_ms)

    def weight_used(self, ip: str = _LOOPBACK) -> int:
        """Return what an IP has used up in this minute."""
        return self._state.pool(ip).count(self.server_ms())

    def ban(self, seconds: float, ip: str = _LOOPBACK) -> None:
        """Serve nothing to an IP for a while."""
        self._state.pool(ip).ban(seconds, self.server_ms())

    async def hang_up(self, market: Market | None = None, *, code: int = _GOING_AWAY) -> None:
        """Close the WebSockets of a market, or all."""
        for connection in self.connections:
            if market in {None, connection.peer.market}:
                await connection.hang_up(code)

    def _listening(self) -> tuple[str, int]:
        if self._address is None:
            raise RuntimeError("the simulated exchange is not started")
        return self._address

    def _netloc(self) -> str:
        host, port = self._listening()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
