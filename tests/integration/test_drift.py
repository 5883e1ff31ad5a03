"""Replies that leave their documents: told once by place, counted, and nothing of them lost."""

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from poller.codec import decompress
from poller.observation import Market
from poller.spool import Spool
from poller.storage.store import Store
from poller.writer import MOST_PLACES, Writer
from tests.support.database import execute
from tests.support.replies import TIME, Json, envelope, observed, usdm_asset, usdm_result
from tests.support.writing import drained

DRIFTED = "reply drifted from its documents"


def without(row: Json, name: str) -> Json:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("asset", "place"),
    [
        (usdm_asset("USDT", "5", haircut="0.9"), "unknown result.assets[].haircut"),
        (without(usdm_asset("USDT", "5"), "crossUnPnl"), "missing result.assets[].crossUnPnl"),
        (usdm_asset("USDT", "5", crossUnPnl=0.5), "not a string result.assets[].crossUnPnl"),
        (usdm_asset("USDT", "5", crossUnPnl=None), "not a string result.assets[].crossUnPnl"),
        (usdm_asset("USDT", "5", updateTime="1784973214032"), "not a number result.assets[].updateTime"),
        (usdm_asset("USDT", "5", updateTime=None), "not a number result.assets[].updateTime"),
        (usdm_asset("USDT", "5", marginAvailable="true"), "not a boolean result.assets[].marginAvailable"),
    ],
)
async def test_what_appears_disappears_or_changes_its_kind_is_told_by_its_place(
    tmp_path: Path, plain_database_url: str, asset: Json, place: str
) -> None:
    body = envelope(usdm_result(assets=[usdm_asset("BTC"), asset]))
    with capture_logs() as logs:
        writer = await stored(tmp_path, plain_database_url, [body, body])
    kept = execute(plain_database_url, "SELECT codec, body FROM poller.raw_payloads")

    assert [line["place"] for line in logs if line["event"] == DRIFTED] == [place]
    assert writer.drift == {place: 2}
    assert [whole(row) for row in kept] == [body, body]


async def test_an_object_in_the_place_of_an_amount_is_told_and_its_reply_kept(
    tmp_path: Path, plain_database_url: str
) -> None:
    bodies = [
        envelope(usdm_result(assets=[usdm_asset("BTC")] * number + [usdm_asset("USDT", walletBalance={"free": "1"})]))
        for number in range(2)
    ]
    with capture_logs() as logs:
        await stored(tmp_path, plain_database_url, bodies)
    (place,) = [line["place"] for line in logs if line["event"] == DRIFTED]
    kept = execute(plain_database_url, "SELECT codec, body FROM poller.rejected_payloads ORDER BY time")

    assert place.startswith("malformed result.assets[]: ")
    assert place.endswith("at `$.walletBalance`")
    assert [whole(row) for row in kept] == bodies


async def test_replies_with_ever_new_fields_fill_no_memory(tmp_path: Path, plain_database_url: str) -> None:
    names = [f"new{number}" for number in range(MOST_PLACES + 5)]
    with capture_logs() as logs:
        writer = await stored(tmp_path, plain_database_url, [envelope(usdm_result() | dict.fromkeys(names, 1))] * 2)

    assert len(writer.drift) == MOST_PLACES + 1
    assert writer.drift["elsewhere"] == 10
    assert [line["event"] for line in logs].count(DRIFTED) == MOST_PLACES + 1


def whole(row: tuple[object, ...]) -> bytes:
    codec, data = row
    assert isinstance(codec, int)
    assert isinstance(data, bytes)
    return decompress(codec, data)


async def stored(folder: Path, url: str, bodies: list[bytes]) -> Writer:
    spool = await Spool.open(folder / "spool.sqlite", max_size=2**24)
    for number, body in enumerate(bodies):
        await spool.append(observed(Market.USDM, body, time=TIME + timedelta(seconds=10 * number)))
    writer = Writer(spool=spool, store=Store(url))
    await drained(writer)
    await spool.close()
    return writer
