"""What each quirk of a reply becomes, and which replies are refused with the place of the fault."""

import contextlib
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.codec import decompress
from poller.errors import MalformedReplyError
from poller.exchange.messages import AccountConfig
from poller.normalize import modes_of, normalize, reject
from poller.normalize.rejection import HEAD_BYTES, WHOLE_BYTES
from poller.observation import AssetMode, AssetModeSource, Market, PositionMode, Status
from poller.records import Snapshot
from tests.support.replies import (
    TIME,
    Json,
    coinm_position,
    coinm_result,
    envelope,
    observed,
    unanswered,
    usdm_asset,
    usdm_position,
    usdm_result,
)


def usdm(result: Json, **fields: object) -> Snapshot:
    return normalize(observed(Market.USDM, envelope(result), **fields)).snapshot


def coinm(result: Json) -> Snapshot:
    return normalize(observed(Market.COINM, envelope(result))).snapshot


def drift_of(market: Market, result: Json) -> tuple[str, ...]:
    return normalize(observed(market, envelope(result))).drift


def test_a_poll_without_a_reply_is_only_its_row() -> None:
    snapshot = normalize(unanswered(Status.TIMEOUT, error_message="no reply")).snapshot

    assert snapshot.poll.status is Status.TIMEOUT
    assert snapshot.poll.error_message == "no reply"
    assert (snapshot.totals, snapshot.assets, snapshot.positions, snapshot.raw) == (None, (), (), None)


def test_the_raw_reply_is_kept_as_it_was_spooled() -> None:
    observation = observed(Market.USDM, envelope(usdm_result()))
    raw = normalize(observation).snapshot.raw

    assert raw is not None
    assert (raw.codec, raw.body) == (observation.codec, observation.body)


@pytest.mark.parametrize(
    "amount",
    ["1E-8", "-19.5", "313.20000000000005", "9223372036854775807", "530.2133479100000", "0.1" + "0" * 40 + "1"],
)
def test_an_amount_keeps_every_digit(amount: str) -> None:
    (asset,) = usdm(usdm_result(assets=[usdm_asset("USDT", amount)])).assets

    assert str(asset.wallet_balance) == str(Decimal(amount))


def test_a_number_instead_of_a_string_stays_exact_and_is_drift() -> None:
    body = envelope(usdm_result(assets=[usdm_asset("BTC", "@")])).replace(b'"@"', b"0.10000000000000000555")
    normalized = normalize(observed(Market.USDM, body))

    assert normalized.snapshot.assets[0].wallet_balance == Decimal("0.10000000000000000555")
    assert "not a string result.assets[].walletBalance" in normalized.drift


def test_an_empty_string_is_unknown_not_zero() -> None:
    (asset,) = usdm(usdm_result(assets=[usdm_asset("BTC", marginBalance="")])).assets

    assert asset.margin_balance is None
    assert asset.wallet_balance == 0


def test_leverage_is_a_number_in_either_form() -> None:
    rows = [coinm_position("A", "1", leverage="20"), coinm_position("B", "1", leverage=7)]

    assert [row.leverage for row in coinm(coinm_result(positions=rows)).positions] == [Decimal(20), Decimal(7)]


def test_virtual_balances_do_not_make_a_row() -> None:
    asset = usdm_asset("BNB", availableBalance="18.13696110", maxWithdrawAmount="3")

    assert usdm(usdm_result(assets=[asset])).assets == ()


def test_prices_leverage_and_limits_do_not_make_a_row() -> None:
    position = coinm_position("EOSUSD_210924", leverage="7", entryPrice="4.2", breakEvenPrice="4.1", maxQty="5")

    assert coinm(coinm_result(positions=[position])).positions == ()


@pytest.mark.parametrize("field", ["initialMargin", "maintMargin", "isolatedWallet", "unrealizedProfit", "notional"])
def test_a_position_without_amount_is_kept_for_any_amount_of_its_own(field: str) -> None:
    rows = usdm(usdm_result(positions=[usdm_position("BTCUSDT", **{field: "0.00000001"})])).positions

    assert [row.symbol for row in rows] == ["BTCUSDT"]


def test_a_missing_amount_never_counts_as_zero_and_is_drift() -> None:
    asset = usdm_asset("BTC")
    del asset["marginBalance"]
    normalized = normalize(observed(Market.USDM, envelope(usdm_result(assets=[asset]))))

    assert [row.asset for row in normalized.snapshot.assets] == ["BTC"]
    assert normalized.drift == ("missing result.assets[].marginBalance",)


def test_seen_counts_include_the_zero_rows() -> None:
    poll = usdm(usdm_result(assets=[usdm_asset("BTC"), usdm_asset("USDT", "1")])).poll

    assert (poll.assets_seen, poll.positions_seen, poll.status) == (2, 0, Status.OK)


def test_unknown_fields_are_kept_where_they_stood() -> None:
    result = usdm_result(assets=[usdm_asset("USDT", "1", haircut="0.95", nested={"rate": 0.10})], tradeGroupId=-1)
    normalized = normalize(observed(Market.USDM, envelope(result, region="eu")))
    snapshot = normalized.snapshot

    assert snapshot.assets[0].extra == '{"haircut":"0.95","nested":{"rate":0.1}}'
    assert snapshot.totals is not None
    assert snapshot.totals.extra == '{"tradeGroupId":-1,"$envelope":{"region":"eu"}}'
    assert normalized.drift == (
        "unknown region",
        "unknown result.assets[].haircut",
        "unknown result.assets[].nested",
        "unknown result.tradeGroupId",
    )


def test_the_documents_own_replies_are_no_drift() -> None:
    assert drift_of(Market.USDM, usdm_result(assets=[usdm_asset("USDT")], positions=[usdm_position("BTCUSDT")])) == ()
    assert drift_of(Market.COINM, coinm_result(positions=[coinm_position("BTCUSD_PERP")])) == ()


def test_an_update_time_of_zero_is_never() -> None:
    never, once = usdm(
        usdm_result(assets=[usdm_asset("A", "1"), usdm_asset("B", "1", updateTime=1625474304765)])
    ).assets

    assert never.exchange_updated_at is None
    assert once.exchange_updated_at == datetime(2021, 7, 5, 8, 38, 24, 765000, tzinfo=UTC)


USDT = usdm_asset("USDT", "5000")


@pytest.mark.parametrize(
    ("total", "assets", "mode", "unit"),
    [
        ("5000", [USDT, usdm_asset("USDC", "70")], AssetMode.SINGLE_ASSET, "USDT"),
        ("5070.01", [USDT, usdm_asset("USDC", "70")], AssetMode.MULTI_ASSETS, "USD"),
        ("5000.42845", [USDT], AssetMode.MULTI_ASSETS, "USD"),
        ("0", [usdm_asset("USDT"), usdm_asset("USDC", "70")], None, None),
        ("5000.00000001", [USDT], None, None),
        ("70", [usdm_asset("BNFCR", "70")], AssetMode.MULTI_ASSETS, "USD"),
    ],
    ids=["equal to USDT", "other assets too", "USDT alone, converted", "all zero", "an instant apart", "no USDT row"],
)
def test_the_asset_mode_is_told_from_the_totals_where_they_are_decisive(
    total: str, assets: list[Json], mode: AssetMode | None, unit: str | None
) -> None:
    totals = usdm(usdm_result(total="x") | {**usdm_result(), "assets": assets} | held(total)).totals

    assert totals is not None
    assert (totals.asset_mode, totals.totals_asset) == (mode, unit)
    assert totals.asset_mode_source == (AssetModeSource.PAYLOAD if mode else None)


def held(total: str) -> Json:
    names = ("totalWalletBalance", "totalMarginBalance", "totalCrossWalletBalance")
    return dict.fromkeys((*names, "availableBalance", "maxWithdrawAmount"), total)


def test_a_configured_asset_mode_wins_over_the_totals() -> None:
    result = usdm_result(assets=[USDT]) | held("5000")
    totals = usdm(result, asset_mode=AssetMode.MULTI_ASSETS, asset_mode_source=AssetModeSource.CONFIG).totals

    assert totals is not None
    assert (totals.asset_mode, totals.totals_asset) == (AssetMode.MULTI_ASSETS, "USD")
    assert totals.asset_mode_source is AssetModeSource.CONFIG


MULTI_TOTALS = usdm_result(assets=[USDT, usdm_asset("USDC", "70")]) | held("5070.01")
SINGLE_TOTALS = usdm_result(assets=[USDT]) | held("5000")
UNDECIDED_TOTALS = usdm_result(assets=[USDT]) | held("5000.00000001")


@pytest.mark.parametrize(
    ("told", "result", "mode", "unit"),
    [
        (AssetMode.SINGLE_ASSET, SINGLE_TOTALS, AssetMode.SINGLE_ASSET, "USDT"),
        (AssetMode.MULTI_ASSETS, MULTI_TOTALS, AssetMode.MULTI_ASSETS, "USD"),
        (AssetMode.SINGLE_ASSET, UNDECIDED_TOTALS, AssetMode.SINGLE_ASSET, "USDT"),
        (AssetMode.MULTI_ASSETS, UNDECIDED_TOTALS, AssetMode.MULTI_ASSETS, "USD"),
        (AssetMode.MULTI_ASSETS, usdm_result(), AssetMode.MULTI_ASSETS, "USD"),
    ],
)
def test_what_the_exchange_told_is_what_the_row_says_unless_the_totals_show_another_mode(
    told: AssetMode, result: Json, mode: AssetMode, unit: str
) -> None:
    normalized = normalize(
        observed(Market.USDM, envelope(result), asset_mode=told, asset_mode_source=AssetModeSource.EXCHANGE)
    )

    totals = normalized.snapshot.totals
    assert totals is not None
    assert (totals.asset_mode, totals.totals_asset, totals.asset_mode_source) == (mode, unit, AssetModeSource.EXCHANGE)
    assert not normalized.mode_contradicted


@pytest.mark.parametrize(
    ("told", "result"), [(AssetMode.SINGLE_ASSET, MULTI_TOTALS), (AssetMode.MULTI_ASSETS, SINGLE_TOTALS)]
)
def test_totals_that_contradict_what_the_exchange_told_have_no_unit_until_it_is_asked_again(
    told: AssetMode, result: Json
) -> None:
    normalized = normalize(
        observed(Market.USDM, envelope(result), asset_mode=told, asset_mode_source=AssetModeSource.EXCHANGE)
    )

    totals = normalized.snapshot.totals
    assert totals is not None
    assert (totals.asset_mode, totals.totals_asset, totals.asset_mode_source) == (None, None, None)
    assert totals.wallet_balance is not None
    assert normalized.mode_contradicted


@pytest.mark.parametrize("result", [SINGLE_TOTALS, MULTI_TOTALS])
def test_a_configured_asset_mode_is_contradicted_by_nothing(result: Json) -> None:
    for mode in AssetMode:
        normalized = normalize(
            observed(Market.USDM, envelope(result), asset_mode=mode, asset_mode_source=AssetModeSource.CONFIG)
        )
        assert normalized.snapshot.totals is not None
        assert normalized.snapshot.totals.asset_mode is mode
        assert not normalized.mode_contradicted


@pytest.mark.parametrize(
    ("told", "sides", "contradicted"),
    [
        (PositionMode.ONE_WAY, ["BOTH"], False),
        (PositionMode.ONE_WAY, ["LONG"], True),
        (PositionMode.ONE_WAY, ["BOTH", "SHORT"], True),
        (PositionMode.ONE_WAY, [], False),
        (PositionMode.HEDGE, ["LONG", "SHORT"], False),
        (PositionMode.HEDGE, ["LONG", "BOTH"], True),
        (PositionMode.HEDGE, [], False),
        (None, ["BOTH", "LONG"], False),
    ],
)
def test_a_position_on_a_side_of_the_other_mode_contradicts_what_the_exchange_told(
    told: PositionMode | None,
    sides: list[str],
    contradicted: bool,  # noqa: FBT001 - parametrized
) -> None:
    usdm_rows = [usdm_position(f"S{index}", "1", positionSide=side) for index, side in enumerate(sides)]
    coinm_rows = [coinm_position(f"S{index}", "1", positionSide=side) for index, side in enumerate(sides)]

    for market, result in (
        (Market.USDM, usdm_result(positions=usdm_rows)),
        (Market.COINM, coinm_result(positions=coinm_rows)),
    ):
        normalized = normalize(observed(market, envelope(result), position_mode=told))
        assert normalized.mode_contradicted is contradicted
        assert len(normalized.snapshot.positions) == len(sides)


@pytest.mark.parametrize("told", PositionMode)
def test_rows_without_a_position_are_listed_on_any_side(told: PositionMode) -> None:
    rows = [coinm_position("BTCUSD_PERP", positionSide=side) for side in ("BOTH", "LONG", "SHORT")]
    normalized = normalize(observed(Market.COINM, envelope(coinm_result(positions=rows)), position_mode=told))

    assert not normalized.mode_contradicted


def test_modes_are_told_in_our_words() -> None:
    assert modes_of(AccountConfig(multi_assets_margin=False, dual_side_position=True)) == (
        AssetMode.SINGLE_ASSET,
        PositionMode.HEDGE,
    )
    assert modes_of(AccountConfig(multi_assets_margin=True)) == (AssetMode.MULTI_ASSETS, None)
    assert modes_of(AccountConfig(dual_side_position=False)) == (None, PositionMode.ONE_WAY)


def test_coinm_has_no_totals_and_no_mode() -> None:
    totals = coinm(coinm_result(feeTier=3, canWithdraw=False)).totals

    assert totals is not None
    assert (totals.totals_asset, totals.asset_mode, totals.wallet_balance) == (None, None, None)
    assert (totals.fee_tier, totals.can_trade, totals.can_withdraw) == (3, True, False)


def without(document: Json, field: str) -> Json:
    return {key: value for key, value in document.items() if key != field}


def asset(**fields: object) -> bytes:
    return envelope(usdm_result(assets=[usdm_asset("BTC") | fields]))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "truncated"),
        (b'{"id":"1","status":200,"result":{"assets":[{"asset":"BT', "truncated"),
        (b"[]", "not an object"),
        (b'{"id":"1","status":200}', "result: expected an object"),
        (b"<html>403 Forbidden</html>", "malformed"),
        (b'{"id":"1","status":200,"result":{"assets":NaN,"positions":[]}}', "malformed"),
        (b'{"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"result":{"assets":[{"asset":"\xff"}],"positions":[]}}', "utf-8"),
        (envelope(without(usdm_result(), "assets")), "result: Object missing required field `assets`"),
        (envelope(without(usdm_result(), "positions")), "result: Object missing required field `positions`"),
        (envelope(usdm_result(assets=None)), "result: Expected `array`, got `null` - at `$.assets`"),
        (envelope(usdm_result(assets=[1])), "at `$.assets[0]`"),
        (envelope(usdm_result(assets=[without(USDT, "asset")])), "assets[0]: Object missing required field `asset`"),
        (asset(asset=""), "result.assets[0]: Expected `str`, got `null` - at `$.asset`"),
        (asset(walletBalance=True), "result.assets[0]: Expected `decimal | null`, got `bool` - at `$.walletBalance`"),
        (asset(walletBalance="1,5"), "result.assets[0]: Invalid decimal string - at `$.walletBalance`"),
        (asset(walletBalance="NaN"), "result.assets[0].walletBalance: not a finite number"),
        (asset(walletBalance="-Infinity"), "result.assets[0].walletBalance: not a finite number"),
        (asset(walletBalance="1E-20000"), "result.assets[0].walletBalance: more than 16383 digits"),
        (asset(updateTime="soon"), "result.assets[0]: Expected `int | null`, got `str` - at `$.updateTime`"),
        (asset(updateTime=10**18), "result.assets[0].updateTime: 1000000000000000000 is no time"),
        (envelope(usdm_result(assets=[USDT, USDT])), "result.assets: USDT appears 2 times"),
        (envelope(usdm_result(positions=[usdm_position("A")] * 2)), "result.positions: A BOTH appears 2 times"),
        (envelope(usdm_result(positions=[usdm_position("A", positionSide="UP")])), "unknown positionSide 'UP'"),
    ],
)  # fmt: skip
def test_a_malformed_reply_is_refused_with_its_place(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedReplyError) as caught:
        normalize(observed(Market.USDM, body))

    assert reason in str(caught.value)


def test_a_reply_that_could_not_be_received_is_refused_with_the_reason() -> None:
    with pytest.raises(MalformedReplyError, match="a frame above 16 MiB"):
        normalize(unanswered(Status.MALFORMED, error_message="a frame above 16 MiB"))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(body: bytes) -> None:
    with pytest.raises(MalformedReplyError):
        normalize(observed(Market.USDM, body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    field=st.sampled_from([*usdm_asset("USDT"), "marginAvailable", "new"]),
    value=JSON,
    build=st.sampled_from([lambda row: usdm_result(assets=[row]), lambda row: usdm_result(positions=[row])]),
)
def test_any_value_anywhere_is_stored_or_refused_in_words(
    field: str, value: object, build: Callable[[Json], Json]
) -> None:
    row = usdm_asset("USDT", "1") | usdm_position("BTCUSDT") | {field: value}
    observation = observed(Market.USDM, envelope(build(row)))
    with contextlib.suppress(MalformedReplyError):
        assert normalize(observation).snapshot.poll.status is Status.OK


def test_a_rejected_reply_keeps_its_bytes_and_the_reason() -> None:
    observation = observed(Market.USDM, b'{"broken')
    snapshot = reject(observation, "line\nfeed " + "x" * 600)

    assert snapshot.poll.status is Status.MALFORMED
    assert snapshot.poll.time == TIME
    assert snapshot.rejected is not None
    assert snapshot.rejected.body == observation.body
    assert snapshot.rejected.body_bytes == len(b'{"broken')
    assert snapshot.poll.error_message == snapshot.rejected.reason
    assert len(snapshot.rejected.reason) == 500
    assert "\n" not in snapshot.rejected.reason


def test_of_a_huge_reply_the_head_is_kept_with_length_and_digest() -> None:
    body = b'{"result":"' + b"x" * (WHOLE_BYTES + 1)
    rejected = reject(observed(Market.USDM, body), "too large").rejected

    assert rejected is not None
    assert rejected.body is not None
    assert decompress(rejected.codec, rejected.body, limit=None) == body[:HEAD_BYTES]
    assert rejected.body_bytes == len(body)
    assert rejected.body_sha256 == hashlib.sha256(body).digest()


def test_a_malformed_poll_without_bytes_has_nothing_to_keep() -> None:
    rejected = reject(unanswered(Status.MALFORMED), "a frame above 16 MiB").rejected

    assert rejected is not None
    assert (rejected.body, rejected.body_bytes) == (None, None)
