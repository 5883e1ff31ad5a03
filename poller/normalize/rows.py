"""One object of a reply in the exchange's words → columns in ours: the one module that knows both vocabularies."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from operator import itemgetter
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from poller.errors import MalformedReplyError
from poller.exchange.messages import Amount, Flag, Whole

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
_COLUMNS_SOMETIMES: Final = frozenset({"margin_available"})
_MAX_SCALE: Final = 16_383
"""Digits behind the point that PostgreSQL keeps; it rounds more of them away without a word."""

_KINDS: Final[Mapping[object, tuple[type, str]]] = {
    Amount: (str, "a string"),
    Whole: (int, "a number"),
    Flag: (bool, "a boolean"),
}
"""What the fields of each type are in a reply, and in words; the others are required, and just what they should be."""

_USUAL_KINDS: Final[Mapping[object, type]] = {str: str} | {kind: usual for kind, (usual, _) in _KINDS.items()}
_PLAIN: Final = frozenset("-.0123456789")
_MOST_PLAIN: Final = 1000

_INTEGER: Final = re.compile("-?[0-9]{1,18}")
_FLAGS: Final[Mapping[object, bool]] = {"true": True, "false": False}
_INDEX: Final = re.compile(r"\[[0-9]+\]")

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
    type: object

    @property
    def is_amount(self) -> bool:
        return self.type == Amount

    @property
    def is_owned(self) -> bool:
        return self.is_amount and self.column not in _NOT_OWNED


@dataclass(frozen=True, slots=True)
class _Usual:
    """Reads a row that is just as documented without a look at each field; most are, and there are many."""

    shape: type[Struct]
    keys: frozenset[str]
    kinds: tuple[type, ...]
    take: Callable[[Mapping[str, object]], tuple[object, ...]]
    take_amounts: Callable[[Mapping[str, object]], tuple[str, ...]]
    take_owned: Callable[[Mapping[str, object]], tuple[object, ...]]

    def covers(self, value: Mapping[str, object]) -> bool:
        """Tell whether no field is missing, unknown, empty or of another kind, and all amounts are plainly exact."""
        if value.keys() != self.keys or tuple(map(type, self.take(value))) != self.kinds or "" in value.values():
            return False
        digits = "".join(self.take_amounts(value))
        return len(digits) <= _MOST_PLAIN and _PLAIN.issuperset(digits)

    def read(self, value: Mapping[str, object], place: str) -> Row | None:
        """Return the row; None when an amount is no number after all."""
        try:
            struct = msgspec.convert(value, self.shape)
        except msgspec.ValidationError:
            return None
        columns = dict(zip(_columns(self.shape), msgspec.structs.astuple(struct), strict=True))
        for column in _COLUMNS_SOMETIMES & columns.keys():
            columns[column] = None if columns[column] is UNSET else columns[column]
        columns["exchange_updated_at"] = _instant(columns["exchange_updated_at"], f"{place}.updateTime")
        return Row(columns, {}, frozenset(), not any(self.take_owned(columns)))


def read_row(value: Mapping[str, object], shape: type[Struct], path: str, index: int | None = None) -> Row:
    """Check one object against its documents and name its values as the columns are named.

    Raises:
        MalformedReplyError: a required field is missing, or a value is not of the documented kind.
    """
    place = path if index is None else f"{path}[{index}]"
    if index is not None and (row := _read_usual(value, shape, place)):
        return row
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
        elif kind := _other_kind(field, value[field.wire]):
            drift.append(f"{kind} {name}.{field.wire}")
        if isinstance(item, Decimal):
            _refuse_inexact(item, f"{place}.{field.wire}")
        columns[field.column] = item
    if "exchange_updated_at" in columns:
        columns["exchange_updated_at"] = _instant(columns["exchange_updated_at"], f"{place}.updateTime")
    extra = {key: item for key, item in value.items() if key not in _known(shape)}
    drift += [f"unknown {name}.{key}" for key in extra]
    is_zero = all(columns[field.column] == 0 for field in _layout(shape) if field.is_owned)
    return Row(columns, extra, frozenset(drift), is_zero)


def _read_usual(value: Mapping[str, object], shape: type[Struct], place: str) -> Row | None:
    usual = _usual(shape, has_all=len(value) == len(_layout(shape)))
    return usual.read(value, place) if usual.covers(value) else None


def read_rows(values: Iterable[Mapping[str, object]], shape: type[Struct], path: str) -> tuple[Row, ...]:
    """Read a list of objects of one shape."""
    return tuple(read_row(value, shape, path, index) for index, value in enumerate(values))


@cache
def _usual(shape: type[Struct], *, has_all: bool) -> _Usual:
    sent = [field for field in _layout(shape) if has_all or field.wire not in _SOMETIMES]
    return _Usual(
        shape=shape,
        keys=frozenset(field.wire for field in sent),
        kinds=tuple(_USUAL_KINDS[field.type] for field in sent),
        take=itemgetter(*(field.wire for field in sent)),
        take_amounts=itemgetter(*(field.wire for field in sent if field.is_amount)),
        take_owned=itemgetter(*(field.column for field in sent if field.is_owned)),
    )


@cache
def _columns(shape: type[Struct]) -> tuple[str, ...]:
    return tuple(field.column for field in _layout(shape))


@cache
def _layout(shape: type[Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.encode_name, field.name, _column(field.name), field.type)
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
    except msgspec.ValidationError:
        pass  # of another kind: perhaps it can be understood all the same
    try:
        return msgspec.convert(_meant(value, shape), shape)
    except msgspec.ValidationError as exc:
        reason = f"{place}: {exc}"
        raise MalformedReplyError(reason, drift=[f"malformed {_INDEX.sub('[]', reason)}"]) from exc


def _meant(value: Mapping[str, object], shape: type[Struct]) -> dict[str, object]:
    """Return an object with numbers and booleans in the place of strings that say the same."""
    meant: dict[str, object] = {key: None if item == "" else item for key, item in value.items()}
    for field in _layout(shape):
        item = meant.get(field.wire)
        if isinstance(item, str) and field.type == Whole and _INTEGER.fullmatch(item):
            meant[field.wire] = int(item)
        elif isinstance(item, str) and field.type == Flag:
            meant[field.wire] = _FLAGS.get(item, item)
    return meant


def _other_kind(field: _Field, item: object) -> str | None:
    """Tell in words when a value is not of its documented kind, even if it could be understood."""
    kind, words = _KINDS.get(field.type, (type(item), ""))
    return None if type(item) is kind else f"not {words}"  # for isinstance a bool is an int


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
