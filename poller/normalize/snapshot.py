"""A whole reply → the rows of one poll."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from poller.codec import decompress
from poller.errors import MalformedReplyError
from poller.exchange.messages import Asset, CoinmAccount, CoinmPosition, UsdmAccount, UsdmAsset, UsdmPosition
from poller.normalize.modes import TOTALS_ASSET, asset_mode_of, contradicts
from poller.normalize.rows import Row, read_row, read_rows
from poller.observation import AssetMode, AssetModeSource, Market, Observation, Status
from poller.records import AccountTotals, AssetBalance, Poll, Position, RawPayload, Snapshot

_SIDES: Final = frozenset({"BOTH", "LONG", "SHORT"})
_ENVELOPE: Final = frozenset({"id", "status", "result", "rateLimits"})
_SHAPES: Final[Mapping[Market, tuple[type[UsdmAccount | CoinmAccount], type[Struct], type[Struct]]]] = {
    Market.USDM: (UsdmAccount, UsdmAsset, UsdmPosition),
    Market.COINM: (CoinmAccount, Asset, CoinmPosition),
}
_NAMES: Final[Mapping[type, tuple[str, ...]]] = {
    record: tuple(field.name for field in fields(record)) for record in (AccountTotals, AssetBalance, Position)
}
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_EXTRA_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

RecordT = TypeVar("RecordT", AccountTotals, AssetBalance, Position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalized:
    """The rows of one poll, and what is to be said of its reply.

    Attributes:
        drift: The places where it differs from the documents, sorted.
        mode_contradicted: Whether it cannot be of an account in the modes that the exchange told before: they may have
            been switched since, and have to be asked for again.
    """

    snapshot: Snapshot
    drift: tuple[str, ...] = ()
    mode_contradicted: bool = False


def normalize(observation: Observation) -> Normalized:
    """Turn an observation into the rows of its poll.

    Raises:
        MalformedReplyError: the reply is damaged, or not what the exchange documents.
    """
    if observation.status is Status.MALFORMED:
        raise MalformedReplyError(observation.error_message or "the reply could not be received")
    if observation.status is not None:
        poll = poll_record(observation, observation.status)
        return Normalized(snapshot=Snapshot(environment=observation.environment, poll=poll))
    account_shape, asset_shape, position_shape = _SHAPES[observation.market]
    envelope = _parse(observation)
    result = envelope.get("result")
    if not isinstance(result, dict):
        raise MalformedReplyError("result: expected an object")
    account = read_row(result, account_shape, "result")
    assets = read_rows(result["assets"], asset_shape, "result.assets")
    positions = read_rows(result["positions"], position_shape, "result.positions")
    _check_keys(assets, positions)
    around = {key: value for key, value in envelope.items() if key not in _ENVELOPE}
    if around:
        account.extra["$envelope"] = around
    held = tuple(row for row in positions if not row.is_zero)
    mode, source, is_other = _asset_mode(observation, account, assets)
    snapshot = Snapshot(
        environment=observation.environment,
        poll=poll_record(observation, Status.OK, assets_seen=len(assets), positions_seen=len(positions)),
        totals=_totals(account, mode, source),
        assets=tuple(_record(row, AssetBalance) for row in assets if not row.is_zero),
        positions=tuple(_record(row, Position) for row in held),
        raw=RawPayload(codec=observation.codec, body=observation.body),
    )
    drift = {f"unknown {key}" for key in around}.union(*(row.drift for row in (account, *assets, *positions)))
    is_other |= contradicts(observation.position_mode, (row.columns["position_side"] for row in held))
    return Normalized(snapshot=snapshot, drift=tuple(sorted(drift)), mode_contradicted=is_other)


def poll_record(
    observation: Observation,
    status: Status,
    *,
    error_message: str | None = None,
    assets_seen: int | None = None,
    positions_seen: int | None = None,
) -> Poll:
    """Return the `polls` row of an observation."""
    return Poll(
        time=observation.time,
        account=observation.account,
        market=observation.market,
        status=status,
        requested_at=observation.requested_at,
        received_at=observation.received_at,
        latency_ms=observation.latency_ms,
        attempts=observation.attempts,
        exchange_status=observation.exchange_status,
        error_code=observation.error_code,
        error_message=observation.error_message if error_message is None else error_message,
        weight_used=observation.weight_used,
        weight_limit=observation.weight_limit,
        clock_offset_ms=observation.clock_offset_ms,
        assets_seen=assets_seen,
        positions_seen=positions_seen,
        instance=observation.instance,
    )


def _parse(observation: Observation) -> dict[str, object]:
    try:
        body = decompress(observation.codec, observation.body)
        document = _DECODER.decode(body)
    except RecursionError as exc:
        raise MalformedReplyError("the reply is nested too deeply") from exc
    except ValueError as exc:
        raise MalformedReplyError(str(exc)) from exc
    if not isinstance(document, dict):
        raise MalformedReplyError("the reply is not an object")
    return document


def _check_keys(assets: Iterable[Row], positions: Iterable[Row]) -> None:
    for row in positions:
        if row.columns["position_side"] not in _SIDES:
            raise MalformedReplyError(f"result.positions: unknown positionSide {row.columns['position_side']!r}")
    _refuse_twice("result.assets", ((row.columns["asset"],) for row in assets))
    _refuse_twice("result.positions", ((row.columns["symbol"], row.columns["position_side"]) for row in positions))


def _refuse_twice(path: str, keys: Iterable[tuple[Hashable, ...]]) -> None:
    for key, count in Counter(keys).items():
        if count > 1:
            raise MalformedReplyError(f"{path}: {' '.join(map(str, key))} appears {count} times")


def _asset_mode(
    observation: Observation, account: Row, assets: Iterable[Row]
) -> tuple[AssetMode | None, AssetModeSource | None, bool]:
    """Return the asset mode, where it is known from, and whether the reply shows another one than the exchange told."""
    if observation.market is Market.COINM:
        return None, None, False
    known, source = observation.asset_mode, observation.asset_mode_source
    if known and source is not AssetModeSource.EXCHANGE:
        return known, source, False
    usdt = next((row.columns for row in assets if row.columns["asset"] == "USDT"), {})
    shown = asset_mode_of(account.columns, usdt)
    if known is None:
        return shown, AssetModeSource.PAYLOAD if shown else None, False
    if shown in {None, known}:
        return known, source, False
    # Either the mode was switched after it was told, or the totals are not what they are taken for. To store either
    # view would be to guess, and the unit of eleven amounts with it: unknown, until both agree again.
    return None, None, True


def _totals(account: Row, mode: AssetMode | None, source: AssetModeSource | None) -> AccountTotals:
    known = {"asset_mode": mode, "asset_mode_source": source, "totals_asset": mode and TOTALS_ASSET[mode]}
    return _record(account, AccountTotals, known)


def _record(row: Row, record: type[RecordT], known: Mapping[str, object] | None = None) -> RecordT:
    """Build a record from the columns of its name; one that the market does not have is None."""
    extra = _EXTRA_ENCODER.encode(row.extra).decode() if row.extra else None
    values = {**row.columns, **(known or {}), "extra": extra}
    return msgspec.convert({name: values.get(name) for name in _NAMES[record]}, record)
