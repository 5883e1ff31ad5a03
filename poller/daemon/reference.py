"""Asks the exchange for what changes rarely: the modes of each account, and the contracts of each market."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from poller.daemon.exchange import Way
from poller.errors import PollerError, RestRefusedError, RestUnavailableError, StoreUnavailableError, UnstorableError
from poller.exchange.asking import epoch_ms
from poller.exchange.endpoints import ACCOUNT_CONFIG_WEIGHT, EXCHANGE_INFO_WEIGHT
from poller.exchange.reference import account_config, exchange_info
from poller.exchange.refresh import ListedContracts, Modes
from poller.normalize import Normalized, modes_of
from poller.observation import AssetMode, Market, ModesMeasured
from poller.poll import Target
from poller.storage.store import Store

_NAMED: Final = 5

Keep = Callable[[ModesMeasured], Awaitable[object]]

_log = structlog.stdlib.get_logger()


class Reference:
    """What was told of accounts and contracts; `refresh` asks for what is due."""

    def __init__(self, way: Way, *, store: Store) -> None:
        """Know nothing yet; contracts go to the store as they are, for they can be asked for again at any time."""
        self._way = way
        self._store = store
        self._accounts = {target.account: target for target in way.targets}
        self._modes = {target.account: Modes(_configured(way.targets, target.account)) for target in way.targets}
        self._contracts = {target.market: ListedContracts() for target in way.targets}

    def informed(self, target: Target) -> Target:
        """Return the target with the modes that its account is known to be in now."""
        known = self._modes[target.account].known(self._now())
        return replace(
            target,
            asset_mode=known.asset_mode,
            asset_mode_source=known.asset_mode_source,
            position_mode=known.position_mode,
        )

    def learn(self, understood: Normalized) -> None:
        """Look at a poll that was stored: it may show other modes than were told, or symbols that are not listed."""
        poll = understood.snapshot.poll
        if understood.mode_contradicted and poll.account in self._modes:
            _log.warning("modes in doubt", account=poll.account, market=poll.market.value)
            self._modes[poll.account].contradict(self._now())
        if poll.market in self._contracts:
            held = {position.symbol for position in understood.snapshot.positions}
            self._contracts[poll.market].hold(held, self._now())

    async def refresh(self, keep: Keep) -> None:
        """Ask for all that is due; what fails is logged and asked for again later.

        `keep` makes modes durable: what they were at a time cannot be asked for afterwards.
        """
        for account, modes in self._modes.items():
            if modes.refresh.is_due(self._now()) and self._way.exchange.holds.reason(account, Market.USDM) is None:
                await self._ask_for_modes(self._accounts[account], modes, keep)
        for market, listed in self._contracts.items():
            if listed.refresh.is_due(self._now()) and self._store.is_open:
                await self._ask_for_contracts(market, listed)

    async def _ask_for_modes(self, target: Target, modes: Modes, keep: Keep) -> None:
        way, clock = self._way, self._way.exchange.clock
        modes.refresh.begin(self._now())
        # COIN-M has no such request and no asset mode, and shares the position mode.
        ask = partial(account_config, way.session, way.endpoints[Market.USDM], target.credentials)
        try:
            told = await way.wire.rest(
                Market.USDM, ACCOUNT_CONFIG_WEIGHT, lambda: ask(timestamp_ms=epoch_ms(clock.now()))
            )
        except (RestRefusedError, RestUnavailableError) as exc:
            modes.refresh.fail(self._now(), at_least=_asked_pause(exc))
            _log.warning("modes not told", account=target.account, reason=str(exc))
            return
        asset_mode, position_mode = modes_of(told)
        modes.tell(asset_mode, position_mode, self._now())
        await keep(
            ModesMeasured(
                environment=target.environment,
                account=target.account,
                measured_at=clock.now(),
                asset_mode=asset_mode,
                position_mode=position_mode,
            )
        )

    async def _ask_for_contracts(self, market: Market, listed: ListedContracts) -> None:
        way = self._way
        environment = way.targets[0].environment
        listed.refresh.begin(self._now())
        try:
            listing = await way.wire.rest(
                market, EXCHANGE_INFO_WEIGHT, partial(exchange_info, way.session, way.endpoints[market])
            )
            changed = await self._store.save_contracts(environment, market, listing.contracts)
        except (RestRefusedError, RestUnavailableError, StoreUnavailableError, UnstorableError) as exc:
            listed.refresh.fail(self._now(), at_least=_asked_pause(exc))
            _log.warning("contracts not refreshed", market=market.value, reason=str(exc))
            return
        listed.tell((contract.symbol for contract in listing.contracts), self._now())
        _log.info("contracts refreshed", market=market.value, listed=len(listing.contracts), changed=changed)
        if listing.unreadable:
            count, named = len(listing.unreadable), listing.unreadable[:_NAMED]
            _log.warning("contracts left out", market=market.value, count=count, reasons=named)

    def _now(self) -> float:
        return self._way.exchange.clock.steady()


def _configured(targets: Sequence[Target], account: str) -> AssetMode | None:
    return next((target.asset_mode for target in targets if target.account == account), None)


def _asked_pause(exc: PollerError) -> float:
    return float(exc.retry_after_seconds or 0) if isinstance(exc, RestRefusedError) else 0.0
