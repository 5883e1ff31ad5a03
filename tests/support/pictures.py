"""`make status-page`: the pictures of the status page in docs/images, of a daemon that has recorded for six hours."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp

from poller.observation import Status
from poller.simulator.accounts import Account
from poller.storage.schema import upgrade
from tests.support.browser import Scheme, chromium, new_page
from tests.support.database import execute
from tests.support.recent import leave
from tests.support.schema import ROOT
from tests.support.servers import VOLATILE, throw_away_server

PICTURES: Final[dict[Scheme, Path]] = {
    "light": ROOT / "docs" / "images" / "status-page.png",
    "dark": ROOT / "docs" / "images" / "status-page-dark.png",
}
_WIDTH: Final = 1200
_HEIGHT: Final = 1040
_PATIENCE_SECONDS: Final = 600
_CONFIG: Final = """
exchange: {environment: simulated}
accounts:
  - {name: main, interval: 60s}
  - {name: treasury, interval: 60s, asset_mode: multi_assets}
spool: {path: spool.sqlite}
http: {listen: "127.0.0.1:18080"}
log: {format: json}
"""
_PAGE: Final = "http://127.0.0.1:18080/"


async def take(folder: Path, database_url: str, browser: str) -> None:
    """Run a daemon and take the pictures once all of the six hours is stored."""
    (folder / "config.yaml").write_text(_CONFIG, encoding="utf-8")
    away = dict.fromkeys(range(150, 175), (Status.DISCONNECTED, "no connection: the network is unreachable"))
    away |= {48: (Status.TIMEOUT, "no reply within 8 s"), 49: (Status.TIMEOUT, "no reply within 8 s")}
    accounts = Account(label="main"), Account(label="treasury", multi_assets=True)
    await leave(folder / "spool.sqlite", *accounts, hours=6, interval_seconds=60, away=away)
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "run",
        cwd=folder,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database_url},
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await _until("readyz", lambda told: '"pass"' in told)
            execute(database_url, "ANALYZE")
            await _until("", lambda told: " Recording</p>" in told and "Equity of main" in told)
        async with new_page(browser) as page:
            for scheme, path in PICTURES.items():
                await page.go(_PAGE, width=_WIDTH, height=_HEIGHT, scheme=scheme)
                path.write_bytes(await page.picture())
    finally:
        daemon.terminate()
        await daemon.wait()


async def _until(path: str, is_good: Callable[[str], object]) -> None:
    """Return when what the daemon answers is good."""
    async with aiohttp.ClientSession() as client:
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with client.get(_PAGE + path) as answer:
                    if is_good(await answer.text()):
                        return
            await asyncio.sleep(5)


def main() -> None:
    """Take them."""
    with (
        tempfile.TemporaryDirectory(prefix="poller-pictures-") as folder,
        throw_away_server(VOLATILE) as server,
        chromium() as browser,
    ):
        upgrade(server.url, lambda _: None)
        asyncio.run(take(Path(folder), server.url, browser))


if __name__ == "__main__":
    main()
