"""Amounts survive JSON → Decimal → database → SQL text exactly as numbers; nothing on the way is a float."""

import random
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poller.records import Position
from poller.storage.store import Saved, Store
from tests.support.database import execute
from tests.support.snapshots import ok, position, tick

AMOUNTS = [field.name for field in fields(Position) if field.type == Decimal | None]
BATCHES, BATCH = 100, 1_000

_TICKS = iter(range(10**9))


def decimal_text(chance: random.Random) -> str:
    """Return a number as an exchange could write it: up to 30 digits, 18 decimals, exponent, sign, also -0."""
    digits = "".join(chance.choices("0123456789", k=chance.randint(1, 30)))
    decimals = chance.randint(0, min(18, len(digits) - 1))
    whole, fraction = digits[: len(digits) - decimals].lstrip("0") or "0", digits[len(digits) - decimals :]
    number = f"{whole}.{fraction}" if fraction else whole
    exponent = chance.choice(("", "", "", f"E{chance.randint(-18, 18)}", f"e+{chance.randint(0, 18)}"))
    return f"{chance.choice(('', '-'))}{number}{exponent}"


async def came_back(store: Store, url: str, texts: Sequence[str]) -> list[str]:
    """Store the numbers as amounts of positions, and return what SQL makes of them as text."""
    # Both as the exchange sends them, in strings, and as it could: bare.
    quoted = msgspec.json.decode(msgspec.json.encode(texts), type=list[Decimal])
    bare = msgspec.json.decode(f"[{','.join(texts)}]", type=list[Decimal])
    assert quoted == bare
    time = tick(next(_TICKS))
    rows = [bare[start : start + len(AMOUNTS)] for start in range(0, len(bare), len(AMOUNTS))]
    positions = tuple(
        position(f"SYMBOL{n:06}", **dict(zip(AMOUNTS, amounts, strict=False))) for n, amounts in enumerate(rows)
    )
    assert await store.save(ok(time, positions=positions)) is Saved.NEW
    columns = ", ".join(f"{name}::text" for name in AMOUNTS)
    stored = execute(url, f"SELECT {columns} FROM poller.positions WHERE time = %s ORDER BY symbol", time)  # noqa: S608 - names of our own
    return [str(text) for row in stored for text in row if text is not None]


@settings(
    max_examples=BATCHES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**64))
async def test_a_hundred_thousand_amounts_survive_exactly(store: Store, database_url: str, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - made reproducible by its seed
    texts = [decimal_text(chance) for _ in range(BATCH)]

    stored = await came_back(store, database_url, texts)

    assert [Decimal(text) for text in stored] == [Decimal(text) for text in texts]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(numbers=st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
async def test_any_finite_number_survives_or_is_refused(
    store: Store, database_url: str, numbers: list[Decimal]
) -> None:
    storable = [number for number in numbers if abs(number.adjusted()) < 10_000]

    stored = await came_back(store, database_url, [str(number) for number in storable])

    assert [Decimal(text) for text in stored] == storable
