"""What the daemon says about itself over HTTP: nothing can be changed here, and nothing of it stops the recording."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Reasons = Callable[[], tuple[str, ...]]
"""Tells what is wrong; nothing when all is well."""

Page = Callable[[bool], Awaitable[str]]
"""Makes an HTML document; told whether it is asked for again by itself."""

_SHUTDOWN_SECONDS: Final = 0.5
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}

_log = structlog.stdlib.get_logger()


@asynccontextmanager
async def served(
    address: tuple[str, int] | None,
    *,
    answers_to: Callable[[str], bool],
    registry: CollectorRegistry,
    health: Mapping[str, Reasons],
    page: Page,
    renewed_seconds: int,
) -> AsyncIterator[None]:
    """Answer at a host and port as long as the context lasts; None answers nowhere.

    An address that cannot be had is logged, and recording goes on without.

    Args:
        address: Host and port; port 0 takes a free one.
        answers_to: Tells whether a name that a client used for this host is really its own.
        registry: What `/metrics` shows.
        health: For each path, what tells the reasons against it.
        page: Makes what people see.
        renewed_seconds: How often their browsers ask for it again, unless they ask with `refresh=off`.
    """
    if address is None:
        yield
        return
    host, port = address
    app = web.Application(middlewares=[_guard(answers_to)])
    app.router.add_get("/", _page(page, renewed_seconds))
    app.router.add_get("/metrics", _metrics(registry))
    for path, reasons in health.items():
        app.router.add_get(path, _health(reasons))
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as exc:
            _log.error("http not served", host=host, port=port, reason=exc.strerror or type(exc).__name__)
        else:
            _log.info("http served", host=host, port=runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()


def _guard(answers_to: Callable[[str], bool]) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A web page that a name of its own leads here could read an account's history through the user's browser.
        if not answers_to(request.url.host or ""):
            raise web.HTTPMisdirectedRequest(text="this is not served under that name: see http.names\n")
        response = await handler(request)
        response.headers.update(_HEADERS)
        return response

    return guard


def _page(page: Page, renewed_seconds: int) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        # A page that is made anew under those who read it slowly, or hear it, has to let itself be stopped.
        renews = request.query.get("refresh") != "off"
        headers = {"Refresh": str(renewed_seconds)} if renews else None
        return web.Response(text=await page(renews), content_type="text/html", headers=headers)

    return handle


def _metrics(registry: CollectorRegistry) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return handle


def _health(reasons: Reasons) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        found = reasons()
        return web.json_response(
            {"status": "fail" if found else "pass", "reasons": list(found)}, status=503 if found else 200
        )

    return handle
