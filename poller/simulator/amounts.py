"""How the exchange writes amounts: strings with fixed decimals, never an exponent, never a negative zero."""

from decimal import Decimal

ZERO = Decimal(0)
EIGHT_DECIMALS = Decimal("1E-8")


def money(value: Decimal) -> Decimal:
    """Round to the eight decimals of the exchange's books, so that sums of what is shown are exact."""
    return value.quantize(EIGHT_DECIMALS)


def text(value: Decimal) -> str:
    """Write all digits of `value` and no others."""
    return format(value + ZERO, "f")


def money_text(value: Decimal) -> str:
    """Write eight decimals, also for zero."""
    return text(money(value))


def short_zero(value: Decimal) -> str:
    """Write eight decimals, but zero as `0`, as position rows do for margins."""
    return money_text(value) if value else "0"


def digits_text(value: Decimal, digits: int) -> str:
    """Write exactly `digits` decimals."""
    return text(round(value, digits))
