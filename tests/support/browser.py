"""A headless Chromium, driven by its DevTools protocol: what a page is to those who look, and to those who listen.

Scripts of pages are off: what is asked of a page, the browser itself answers.
"""

import asyncio
import base64
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Literal

import aiohttp
import pytest

Scheme = Literal["light", "dark"]

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_SECONDS: Final = 60.0
_SILENT: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)


class Page:
    """A tab; `requested` lists the addresses that were asked for since it was opened."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self._socket = socket
        self._session = session
        self._ids = itertools.count(1_000_000)
        self._loads = 0
        self.requested: list[str] = []

    async def ask(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command of the protocol and return its result."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params, "sessionId": self._session})
        return await _answer(self._socket, number, self._note)

    async def go(self, url: str, *, width: int, height: int = 800, scheme: Scheme = "light") -> None:
        """Show an address at a size in pixels of CSS, and return when all of it is there."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        found = await self.ask("Page.navigate", url=url)
        assert "errorText" not in found, found
        await self.loaded()

    async def loaded(self) -> None:
        """Return when a page is there that was not when this was called for the last time."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not self._loads:
                self._note(await self._socket.receive_json())
        self._loads = 0

    async def width(self) -> float:
        """Return how wide the content is: more than the window has to be scrolled sideways."""
        metrics = await self.ask("Page.getLayoutMetrics")
        return float(metrics["cssContentSize"]["width"])

    async def height(self) -> int:
        """Return how high the content is."""
        metrics = await self.ask("Page.getLayoutMetrics")
        return int(metrics["cssContentSize"]["height"])

    async def heard(self) -> list[tuple[str, str]]:
        """Return the role and the name of all that a screen reader meets, in its order."""
        tree = await self.ask("Accessibility.getFullAXTree")
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree["nodes"]
            if not node["ignored"] and node["role"]["value"] != "InlineTextBox"
        ]

    async def style(self, selector: str, name: str) -> str:
        """Return a computed property of the first element that is selected."""
        root = (await self.ask("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.ask("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        computed = (await self.ask("CSS.getComputedStyleForNode", nodeId=node))["computedStyle"]
        return next(str(entry["value"]) for entry in computed if entry["name"] == name)

    async def picture(self) -> bytes:
        """Return the window as PNG."""
        return base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Page.loadEventFired":
            self._loads += 1
        if message.get("method") == "Network.requestWillBeSent":
            self.requested.append(message["params"]["request"]["url"])


@contextmanager
def chromium() -> Iterator[str]:
    """Run a browser of its own, and give the address at which it is driven."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise FileNotFoundError("no Chromium here: apt-get install chromium")
    # Chromium's sandbox refuses to be root's; what is shown here is our own page.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="poller-browser-", ignore_cleanup_errors=True) as profile:
        command = [program, "--headless", *sandbox, *_SILENT, "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            yield next(line.split()[-1] for line in process.stderr if line.startswith("DevTools listening on "))
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session", name="browser")
def _browser() -> Iterator[str]:
    """The address at which a Chromium is driven, the same one for all tests."""
    try:
        with chromium() as address:
            yield address
    except FileNotFoundError as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))


@asynccontextmanager
async def new_page(browser: str) -> AsyncIterator[Page]:
    """Have a tab without cookies or cache, whose scripts are off."""
    async with aiohttp.ClientSession() as client, client.ws_connect(browser, max_msg_size=0) as socket:
        numbers = itertools.count(1)

        async def ask(method: str, **params: object) -> dict[str, Any]:
            number = next(numbers)
            await socket.send_json({"id": number, "method": method, "params": params})
            return await _answer(socket, number, lambda _: None)

        context = (await ask("Target.createBrowserContext"))["browserContextId"]
        target = (await ask("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = Page(socket, session)
        for domain in ("Page", "Network", "DOM", "CSS", "Accessibility"):
            await page.ask(f"{domain}.enable")
        await page.ask("Emulation.setScriptExecutionDisabled", value=True)
        try:
            yield page
        finally:
            await ask("Target.disposeBrowserContext", browserContextId=context)


async def _answer(
    socket: aiohttp.ClientWebSocketResponse, number: int, note: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (message := await socket.receive_json()).get("id") != number:
            note(message)
    assert "error" not in message, message["error"]
    result: dict[str, Any] = message["result"]
    return result
