"""The page of a running daemon, in a real browser whose scripts are off."""

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from poller.observation import Status
from poller.simulator.accounts import Account
from tests.acceptance.conftest import Workplace
from tests.acceptance.test_http import admit, ask, until
from tests.support.browser import Page, new_page
from tests.support.recent import leave

pytestmark = pytest.mark.timeout(600)  # a browser and a daemon on a machine that does much else
FAILURES = {3: (Status.TIMEOUT, "no reply within 8 s"), 4: (Status.TIMEOUT, "no reply within 8 s")}


async def names(page: Page, role: str) -> list[str]:
    return [name for found, name in await page.heard() if found == role]


async def test_the_page_is_read_on_a_phone_and_a_desk_by_day_and_by_night(workplace: Workplace, browser: str) -> None:
    spool = Path(workplace.directory) / "spool.sqlite"
    await leave(spool, Account(label="main"), hours=0.5, interval_seconds=60, away=FAILURES)
    async with workplace.running("run") as program, new_page(browser) as page:
        port = (await program.until("http served"))["port"]
        await until(lambda: ask(port, "/readyz"), 200)
        address = f"http://127.0.0.1:{port}/"
        widths, papers = [], []
        for width in (360, 1280):
            for scheme in ("light", "dark"):
                await page.go(address, width=width, scheme=scheme)
                widths.append(await page.width())
                papers.append(await page.style("body", "background-color"))
        heard = await page.heard()
        requested = set(page.requested)
        assert await program.stop() == 0

    assert widths == [360, 360, 1280, 1280]
    assert papers == ["rgb(255, 255, 255)", "rgb(15, 19, 24)"] * 2
    assert requested == {address}
    assert {"banner", "navigation", "main", "contentinfo"} <= {role for role, _ in heard}
    headings = [name for role, name in heard if role == "heading"]
    assert [name.split()[0] for name in headings] == [
        "Futures", "Accounts", "Gaps", "main", "Equity", "Margin", "Open",
    ]  # fmt: skip
    images = [name for role, name in heard if role == "image"]
    assert any(name.startswith("Equity of main, USDT, usdm: ") and "unknown in 1 stretch" in name for name in images)
    assert any(name.startswith("Equity of main, BTC, coinm: ") for name in images)
    assert any(name.startswith("Margin ratio of main, USDT cross, usdm: ") for name in images)
    tables = [name for role, name in heard if role == "table"]
    assert tables[0].startswith("How the newest polls of every account and market ended")
    assert "missing in" in tables[1]
    assert tables[2] == "Open positions of main at its newest poll"
    assert ("rowheader", "timeout") in heard
    assert ("columnheader", "Unrealised PnL") in heard


async def test_in_the_first_moments_the_page_says_what_it_waits_for(workplace: Workplace, browser: str) -> None:
    # A poll of every day is made at midnight; one of almost every day is far from it then.
    soon = datetime.now(UTC).time() >= time(23, 50)
    workplace.configure(interval="86399s" if soon else "1d")
    async with workplace.running("run") as program, new_page(browser) as page:
        port = (await program.until("http served"))["port"]
        await page.go(f"http://127.0.0.1:{port}/", width=360)
        title = (await names(page, "RootWebArea"))[0]
        texts = " ".join(await names(page, "StaticText"))
        width = await page.width()
        assert await program.stop() == 0

    assert title.endswith("Starting · futures account poller")
    assert "The first poll is due within" in texts
    assert width == 360


async def test_without_its_database_the_page_says_so_and_what_becomes_of_polls(
    workplace: Workplace, plain_server: str, browser: str
) -> None:
    async with workplace.running("run") as program, new_page(browser) as page:
        port = (await program.until("http served"))["port"]
        await until(lambda: ask(port, "/readyz"), 200)
        admit(plain_server, workplace.database_url, connections=False)
        await until(lambda: ask(port, "/readyz"), 503)
        await page.go(f"http://127.0.0.1:{port}/", width=360)
        heard = await page.heard()
        admit(plain_server, workplace.database_url, connections=True)
        assert await program.stop() == 0

    texts = " ".join(name for role, name in heard if role == "StaticText")
    assert ("heading", "Database") in heard
    assert "Polls do not all reach the database" in texts
    assert "main usdm: the newest poll in the database is" in texts
    assert "It cannot be read now:" in texts
    assert "they are kept in the spool" in texts


async def test_the_page_is_asked_for_again_until_somebody_stops_it(workplace: Workplace, browser: str) -> None:
    async with workplace.running("run") as program, new_page(browser) as page:
        port = (await program.until("http served"))["port"]
        await page.go(f"http://127.0.0.1:{port}/", width=1280)
        await page.loaded()
        await page.go(f"http://127.0.0.1:{port}/?refresh=off", width=1280)
        links = await names(page, "link")
        assert await program.stop() == 0

    assert page.requested == [
        f"http://127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}/?refresh=off",
    ]
    assert "Renew this page every 10 s" in links
