import json
import zlib
from contextlib import suppress
from hashlib import sha256
from itertools import product
from random import Random
from statistics import mean
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.codec import MAX_BODY_BYTES, STORED, compress, decompress, dictionary, words
from poller.observation import Market
from poller.simulator.accounts import Account
from poller.simulator.replies import account_result
from tests.support import new_codec

Json = dict[str, object]

ZERO = "0.00000000"
USDM_ASSETS = ("FDUSD", "U", "BNB", "ETH", "BTC", "USDT", "USD1", "USDC")
BTC_ROW = b',"assets":[{"asset":"BTC","walletBalance":"0.25000000","updateTime":0}],"positions":[]}}'
COINM_ASSETS = 52
COINM_SYMBOLS = 48


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - data that can be made again, no secrets


def amount(random: Random, most: float) -> str:
    return f"{random.uniform(-most, most):.8f}"


def reply(random: Random, result: Json) -> bytes:
    limit: Json = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
    envelope: Json = {"id": str(UUID(int=random.getrandbits(128), version=4)), "status": 200, "result": result}
    envelope["rateLimits"] = [{**limit, "count": random.randrange(5, 2400)}]
    return json.dumps(envelope, separators=(",", ":")).encode()


def usdm_asset(random: Random, asset: str) -> Json:
    held = amount(random, 20_000) if asset in {"BTC", "USDT", "USDC"} else ZERO
    names = (
        "walletBalance", "unrealizedProfit", "marginBalance", "maintMargin", "initialMargin", "positionInitialMargin",
        "openOrderInitialMargin", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount",
    )  # fmt: skip
    row: Json = {"asset": asset, **dict.fromkeys(names, ZERO)}
    row |= dict.fromkeys(("walletBalance", "marginBalance", "crossWalletBalance", "maxWithdrawAmount"), held)
    row["availableBalance"] = amount(random, 20_000)
    return {**row, "updateTime": random.randrange(1_760_000_000_000, 1_795_000_000_000) if held != ZERO else 0}


def usdm_position(random: Random, symbol: str) -> Json:
    return {
        "symbol": symbol,
        "positionSide": "BOTH",
        "positionAmt": f"{random.uniform(-50, 50):.3f}",
        "unrealizedProfit": amount(random, 300),
        "isolatedMargin": ZERO,
        "notional": amount(random, 20_000),
        "isolatedWallet": "0",
        "initialMargin": amount(random, 900),
        "maintMargin": amount(random, 90),
        "updateTime": random.randrange(1_785_000_000_000, 1_795_000_000_000),
    }


def usdm_reply(random: Random, positions: int) -> bytes:
    totals = (
        "totalInitialMargin", "totalMaintMargin", "totalWalletBalance", "totalUnrealizedProfit", "totalMarginBalance",
        "totalPositionInitialMargin", "totalOpenOrderInitialMargin", "totalCrossWalletBalance", "totalCrossUnPnl",
        "availableBalance", "maxWithdrawAmount",
    )  # fmt: skip
    total, profit, margin = amount(random, 30_000), amount(random, 500), amount(random, 900)
    values = (margin, amount(random, 90), total, profit, amount(random, 30_000), margin, ZERO, total, profit)
    result: Json = dict(zip(totals, (*values, amount(random, 30_000), amount(random, 30_000)), strict=True))
    result["assets"] = [usdm_asset(random, asset) for asset in USDM_ASSETS]
    symbols = random.sample(["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LTCUSDC"], positions)
    result["positions"] = [usdm_position(random, symbol) for symbol in symbols]
    return reply(random, result)


def coinm_asset(random: Random, asset: str) -> Json:
    names = (
        "walletBalance", "unrealizedProfit", "marginBalance", "maintMargin", "initialMargin", "positionInitialMargin",
        "openOrderInitialMargin", "maxWithdrawAmount", "crossWalletBalance", "crossUnPnl", "availableBalance",
    )  # fmt: skip
    held = amount(random, 90) if random.random() < 0.2 else ZERO
    return {"asset": asset, **dict.fromkeys(names, ZERO), "walletBalance": held, "updateTime": 0}


def coinm_position(random: Random, symbol: str, side: str) -> Json:
    return {
        "symbol": symbol,
        "initialMargin": "0",
        "maintMargin": "0",
        "unrealizedProfit": ZERO,
        "positionInitialMargin": "0",
        "openOrderInitialMargin": "0",
        "leverage": "0",
        "isolated": False,
        "positionSide": side,
        "entryPrice": ZERO,
        "maxQty": f"{random.randrange(1, 99)}0000.0",
        "notionalValue": "0",
        "isolatedWallet": "0",
        "updateTime": 0,
        "positionAmt": "0",
        "breakEvenPrice": ZERO,
    }


def coinm_reply(random: Random) -> bytes:
    symbols = [f"{''.join(random.choices('ABCDEFGHIJKLMNOP', k=4))}USD_PERP" for _ in range(COINM_SYMBOLS)]
    result: Json = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0}
    result["assets"] = [coinm_asset(random, f"A{number}") for number in range(COINM_ASSETS)]
    result["positions"] = [coinm_position(random, symbol, side) for symbol in symbols for side in ("LONG", "SHORT")]
    return reply(random, result)


@pytest.mark.parametrize(
    ("codec", "digest"),
    [
        (1, "0d816509e3ffea87c30c85d43072e7ac0bd75173cfaba70434a8c073b0e41233"),
        (2, "9eea302230c9a7ffeef4008dfdd67f807f9206076f3d69fb3c48ca5641cca275"),
        (3, "63e7622c493f448348c31c938545d7e266658ca1016b6519b05f4eaf166888cb"),
        (4, "547589bf898a7082ace4923806f91385891b4ea94f283a92b39ceb92afb8cc9c"),
        (5, "d3900cc183bc48ac02a351a4499e9391dc06c38925ec05e9e7158924314d7ba9"),
    ],
)
def test_a_dictionary_never_changes_because_history_depends_on_it(codec: int, digest: str) -> None:
    spoken = b"".join(word + mark for word, mark in words(codec))

    assert sha256(spoken + dictionary(codec)).hexdigest() == digest


def test_the_files_are_those_that_the_script_makes() -> None:
    for name, text in new_codec.files():
        assert (new_codec.FOLDER / name).read_text(encoding="ascii") == text


@pytest.mark.parametrize(
    ("codec", "data", "body"),
    [
        (0, b"[]".hex(), b"[]"),
        (
            1,
            "838ed42492380c63a8678a7784005713c6c8144789849617626b6b01",
            b'{"id":"a","status":200,"result":{"totalInitialMargin":"1.50000000"%s' % BTC_ROW,
        ),
        (
            2,
            "830eb52692378e8a654c14571fd9c894b86e5e6c6d2d00",
            b'{"id":"a","status":200,"result":{"feeTier":0,"canTrade":true%s' % BTC_ROW,
        ),
        (
            3,
            "63486434d433852ae0010a0a1be81941f94a3a4aa505298925a92199b9a94a560607636b6b01",
            b'{"id":"a","status":200,"result":{"totalInitialMargin":"1.50000000"%s' % BTC_ROW,
        ),
        (
            4,
            "63486434d0514a4ecc0b294a4c4955b22a292a4dd5514a2c2e4e2d2956b28aae863095ac9480cad90cf48c4c2161a3a4a3545a909258921a92990bd465501baba354905f9c5992999f07d2175b5b0b00",
            b'{"id":"a","status":200,"result":{"feeTier":0,"canTrade":true%s' % BTC_ROW,
        ),
        (
            5,
            "fb9ff8df50cf141a4a3c40fdc2067a4650be928e5269414a62496a48662e30b1181c88adad0500",
            b'{"id":"a","status":200,"result":{"totalInitialMargin":"1.50000000"%s' % BTC_ROW,
        ),
    ],
)
def test_what_the_first_release_compressed_can_be_read(codec: int, data: str, body: bytes) -> None:
    assert decompress(codec, bytes.fromhex(data)) == body


@given(market=st.sampled_from(Market), body=st.binary(max_size=5000))
def test_any_bytes_come_back(market: Market, body: bytes) -> None:
    codec, data = compress(market, body)

    assert decompress(codec, data) == body
    assert len(data) <= len(body)


@given(market=st.sampled_from(Market), seed=st.integers(min_value=0), positions=st.integers(0, 6))
def test_a_reply_comes_back_under_the_codec_of_its_market(market: Market, seed: int, positions: int) -> None:
    body = usdm_reply(seeded(seed), positions) if market is Market.USDM else coinm_reply(seeded(seed))

    codec, data = compress(market, body)

    assert codec == {Market.USDM: 5, Market.COINM: 4}[market]
    assert decompress(codec, data) == body


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("positions", "most"), [(0, 290), (3, 430)])
def test_a_typical_usdm_reply_takes_few_bytes(seed: int, positions: int, most: int) -> None:
    body = usdm_reply(seeded(seed), positions)

    assert len(compress(Market.USDM, body)[1]) <= most


def test_what_the_simulator_sends_takes_500_bytes_with_three_to_eight_positions() -> None:
    random = seeded(1)
    accounts = [Account(label="main", multi_assets=multi_assets) for multi_assets in (False, True)]
    sizes = []
    for account, number, count in product(accounts, range(20), range(3, 9)):
        result = account_result(7, account, Market.USDM, 1_795_244_000_000 + number * 60_000)
        positions = cast("list[object]", result["positions"])
        if len(positions) >= count:
            sizes.append(len(compress(Market.USDM, reply(random, result | {"positions": positions[:count]}))[1]))

    assert len(sizes) > 150
    assert mean(sizes) <= 500


@pytest.mark.parametrize("mark", [b"\x00", b"\x1f", b"\xc0", b"\xff"])
def test_a_body_with_a_byte_that_stands_for_a_word_comes_back_too(mark: bytes) -> None:
    body = usdm_reply(seeded(1), 2) + mark
    codec, data = compress(Market.USDM, body)

    assert codec == 1
    assert decompress(codec, data) == body


@pytest.mark.parametrize("codec", [3, 4, 5])
def test_words_do_not_expand_without_limit(codec: int) -> None:
    longest, mark = words(codec)[0]
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=dictionary(codec))
    data = deflate.compress(mark * 1000) + deflate.flush()

    assert decompress(codec, data, limit=1000 * len(longest)) == longest * 1000
    with pytest.raises(ValueError, match="longer than"):
        decompress(codec, data, limit=1000 * len(longest) - 1)


def test_a_turn_behind_a_word_that_none_follows_is_damage() -> None:
    (last,) = (mark for word, mark in words(5) if word == b'","isolatedWallet":"')
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=dictionary(5))
    data = deflate.compress(last + b"0\xff") + deflate.flush()

    with pytest.raises(ValueError, match="damaged"):
        decompress(5, data)


def test_a_coinm_reply_with_all_its_zero_rows_takes_a_thirtieth() -> None:
    body = coinm_reply(seeded(1))

    assert len(body) > 50_000
    assert len(compress(Market.COINM, body)[1]) < len(body) / 30


def test_what_does_not_shrink_is_kept_as_it_is() -> None:
    body = seeded(1).randbytes(1000)

    assert compress(Market.USDM, body) == (STORED, body)


@pytest.mark.parametrize("codec", [-1, 6, 2**40])
def test_an_unknown_codec_is_refused_by_its_number(codec: int) -> None:
    with pytest.raises(ValueError, match=f"codec {codec} is unknown"):
        decompress(codec, b"")


@given(seed=st.integers(min_value=0), cut=st.floats(0, 1, exclude_max=True))
def test_a_body_that_is_cut_off_is_refused(seed: int, cut: float) -> None:
    codec, data = compress(Market.USDM, usdm_reply(seeded(seed), 2))

    with pytest.raises(ValueError, match="cut off"):
        decompress(codec, data[: int(len(data) * cut)])


def test_bytes_behind_a_body_are_refused() -> None:
    codec, data = compress(Market.USDM, usdm_reply(seeded(1), 2))

    with pytest.raises(ValueError, match="bytes follow"):
        decompress(codec, data + b"\0")


@given(market=st.sampled_from(Market), seed=st.integers(min_value=0), place=st.floats(0, 1, exclude_max=True))
def test_a_flipped_bit_gives_another_body_or_a_reason_and_nothing_worse(
    market: Market, seed: int, place: float
) -> None:
    random = seeded(seed)
    codec, data = compress(market, usdm_reply(random, 2) if market is Market.USDM else coinm_reply(random))
    bits = bytearray(data)
    bits[int(len(bits) * place)] ^= 1 << random.randrange(8)

    with suppress(ValueError):
        assert len(decompress(codec, bytes(bits), limit=100_000)) <= 100_000


@given(codec=st.sampled_from([1, 2, 3, 4, 5]), data=st.binary(max_size=300))
def test_any_data_give_a_body_or_a_reason(codec: int, data: bytes) -> None:
    with suppress(ValueError):
        assert len(decompress(codec, data, limit=1000)) <= 1000


def test_a_hostile_body_does_not_expand_without_limit() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=dictionary(1))
    data = deflate.compress(bytes(MAX_BODY_BYTES + 1)) + deflate.flush()

    with pytest.raises(ValueError, match=f"longer than {MAX_BODY_BYTES} bytes"):
        decompress(1, data)


@pytest.mark.parametrize("body", [b"", b"x", b"y" * 999, b"z" * 1000])
def test_the_limit_itself_is_allowed(body: bytes) -> None:
    for codec, data in ((STORED, body), compress(Market.COINM, body)):
        assert decompress(codec, data, limit=len(body)) == body
        with pytest.raises(ValueError, match=f"longer than {len(body) - 1} bytes"):
            decompress(codec, data, limit=len(body) - 1)
