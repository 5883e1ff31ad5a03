"""One object of a reply in the exchange's words → columns in ours: the one module that knows both vocabularies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from poller.errors import MalformedReplyError
from poller.exchange.messages import Amount

_RENAMED: Final = {
    "unrealized_profit": "unrealized_pnl",
    "cross_un_pnl": "cross_unrealized_pnl",
    "maint_margin": "maintenance_margin",
    "position_amt": "position_amount",
    "notional_value": "notional",
    "max_qty": "max_quantity",
    "update_time": "exchange_updated_at",
}
_NOT_OWNED: Final = frozenset(
    {"available_balance", "max_withdraw_amount", "entry_price", "break_even_price", "leverage", "max_quantity"}
)
"""Amounts that say nothing of what the account holds; multi-assets mode fills the first two with virtual figures."""

_SOMETIMES: Final = frozenset({"marginAvailable"})
_MAX_SCALE: Final = 16_383
"""Digits behind the point that PostgreSQL keeps; it rounds more of them away without a word."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a reply.

    Attributes:
        columns: Its documented values by column.
        extra: What the documents do not know, as it came.
        drift: Where it differs from the documents, without an index, so that it is one fact and not many.
        is_zero: Whether every amount that the account itself owns here is zero; a missing amount is not.
    """

    columns: dict[str, object]
    extra: dict[str, object]
    drift: frozenset[str]
    is_zero: bool


@dataclass(frozen=True, slots=True)
class _Field:
    wire: str
    attribute: str
    column: str
    is_amount: bool

    @property
    def is_owned(self) -> bool:
        return self.is_amount and self.column not in _NOT_OWNED


def read_row(value: Mapping[str, object], shape: type[Struct], path: str, index: int | None = None) -> Row:
    """Check one object against its documents and name its values as the columns are named.

    Raises:
        MalformedReplyError: a required field is missing, or a value is not of the documented kind.
    """
    place = path if index is None else f"{path}[{index}]"
    name = path if index is None else f"{path}[]"
    struct = _convert(value, shape, place)
    columns: dict[str, object] = {}
    drift = []
    for field in _layout(shape):
        item = getattr(struct, field.attribute)
        if item is UNSET:
            item = None
            if field.wire not in _SOMETIMES:
                drift.append(f"missing {name}.{field.wire}")
        elif isinstance(item, Decimal):
            _refuse_inexact(item, f"{place}.{field.wire}")
        if field.is_amount and not isinstance(value.get(field.wire, ""), str):
            drift.append(f"not a string {name}.{field.wire}")
        columns[field.column] = item
    if "exchange_updated_at" in columns:
        columns["exchange_updated_at"] = _instant(columns["exchange_updated_at"], f"{place}.updateTime")
    extra = {key: item for key, item in value.items() if key not in _known(shape)}
    drift += [f"unknown {name}.{key}" for key in extra]
    is_zero = all(columns[field.column] == 0 for field in _layout(shape) if field.is_owned)
    return Row(columns, extra, frozenset(drift), is_zero)


def read_rows(values: Iterable[Mapping[str, object]], shape: type[Struct], path: str) -> tuple[Row, ...]:
    """Read a list of objects of one shape."""
    return tuple(read_row(value, shape, path, index) for index, value in enumerate(values))


@cache
def _layout(shape: type[Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.encode_name, field.name, _column(field.name), field.type == Amount)
        for field in msgspec.structs.fields(shape)
    )


@cache
def _known(shape: type[Struct]) -> frozenset[str]:
    return frozenset(field.wire for field in _layout(shape))


def _column(attribute: str) -> str:
    name = attribute.removeprefix("total_")
    return _RENAMED.get(name, name)


def _convert(value: Mapping[str, object], shape: type[Struct], place: str) -> Struct:
    try:
        return msgspec.convert({key: None if item == "" else item for key, item in value.items()}, shape)
    except msgspec.ValidationError as exc:
        raise MalformedReplyError(f"{place}: {exc}") from exc


def _refuse_inexact(amount: Decimal, place: str) -> None:
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int):
        raise MalformedReplyError(f"{place}: not a finite number")
    if -exponent > _MAX_SCALE:
        raise MalformedReplyError(f"{place}: more than {_MAX_SCALE} digits behind the point")


def _instant(milliseconds: object, place: str) -> datetime | None:
    if not isinstance(milliseconds, int) or milliseconds == 0:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError as exc:
        raise MalformedReplyError(f"{place}: {milliseconds} is no time") from exc
