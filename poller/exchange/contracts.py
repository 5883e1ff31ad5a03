"""The body of `exchangeInfo` → contracts. Pure.

Only what tells the units of amounts is read, so that nothing else in it can cost them.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from poller.errors import RestUnavailableError
from poller.observation import Market, printable
from poller.records import Contract

_SMALLEST: Final = Decimal("1e-9")
_LARGEST: Final = Decimal("1e9")
_MOST_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Listing:
    """The contracts of a market; `unreadable` says which ones were left out, and why, one line for each."""

    contracts: tuple[Contract, ...]
    unreadable: tuple[str, ...] = ()


_Name = Annotated[str, Meta(min_length=1, max_length=100)]


class _Symbol(Struct, frozen=True, rename="camel"):
    symbol: _Name
    base_asset: _Name
    quote_asset: _Name
    margin_asset: _Name
    contract_size: Decimal | None = None
    contract_type: Annotated[str, Meta(max_length=100)] | None = None


class _ExchangeInfo(Struct, frozen=True):
    symbols: tuple[Raw, ...]


_exchange_info: Final = msgspec.json.Decoder(_ExchangeInfo)
_symbol: Final = msgspec.json.Decoder(_Symbol)


def listing(market: Market, body: bytes) -> Listing:
    """Read the contracts of a market; one that cannot be read costs no other.

    Raises:
        RestUnavailableError: There is no list of them.
    """
    try:
        symbols = _exchange_info.decode(body).symbols
    except (ValueError, RecursionError) as exc:
        raise RestUnavailableError("exchangeInfo: the answer cannot be decoded") from exc
    contracts: dict[str, Contract] = {}
    unreadable: list[str] = []
    for index, raw in enumerate(symbols):
        try:
            contract = _read(market, raw)
        except (ValueError, RecursionError) as exc:
            unreadable.append(printable(f"symbols[{index}]: {exc}"))
            continue
        if contract.symbol in contracts:
            unreadable.append(f"symbols[{index}]: {contract.symbol} appears twice")
        contracts.setdefault(contract.symbol, contract)
    return Listing(tuple(contracts.values()), tuple(unreadable))


def _read(market: Market, raw: Raw) -> Contract:
    symbol = _symbol.decode(raw)
    contract = Contract(
        symbol=symbol.symbol,
        base_asset=symbol.base_asset,
        quote_asset=symbol.quote_asset,
        margin_asset=symbol.margin_asset,
        contract_size=symbol.contract_size if market is Market.COINM else None,
        contract_type=symbol.contract_type or None,
    )
    # What the database refuses or rounds would cost the whole list, which is stored at once.
    names = (contract.symbol, contract.base_asset, contract.quote_asset, contract.margin_asset)
    if not all(name.isprintable() for name in (*names, contract.contract_type or "")):
        raise ValueError("a name holds what cannot be printed")
    if market is Market.COINM:
        _check_size(contract.contract_size)
    return contract


def _check_size(size: Decimal | None) -> None:
    if size is None:
        raise ValueError("contractSize is missing")
    if not (size.is_finite() and _SMALLEST <= size <= _LARGEST) or len(size.as_tuple().digits) > _MOST_DIGITS:
        raise ValueError("contractSize is no size of a contract")
