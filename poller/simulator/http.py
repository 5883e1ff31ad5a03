"""What is spoken over HTTP: public REST requests, and the handshake of a WebSocket."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from poller.observation import Market
from poller.simulator.accounts import Account
from poller.simulator.connection import Connection, ConnectionRules, reset
from poller.simulator.envelope import encode, error
from poller.simulator.faults import HttpReply, Outcome, Reset
from poller.simulator.journal import SeenHandshake, SeenRequest
from poller.simulator.public import exchange_info
from poller.simulator.refusal import Refusal, RefusedError
from poller.simulator.replies import account_config
from poller.simulator.requests import authenticate_query
from poller.simulator.scripts import Stage
from poller.simulator.state import Peer, State
from poller.simulator.venues import ACCOUNT_CONFIG_PATH, ACCOUNT_WEIGHT, HANDSHAKE_WEIGHT, LIGHT_WEIGHT, VENUES

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CLOSING_SECONDS = 1.0


class Listener:
    """The HTTP handlers of one exchange and the WebSockets that came in through them."""

    def __init__(self, state: State, rules: ConnectionRules) -> None:
        self.connections: set[Connection] = set()
        self._state = state
        self._rules = rules
        self._numbers = itertools.count(1)

    def application(self) -> web.Application:
        """Route all paths of both markets."""
        application = web.Application()
        for venue in VENUES.values():
            application.router.add_get(venue.websocket_path, self._websocket(venue.market))
            application.router.add_get(f"{venue.rest_path}/time", self._rest(venue.market, _time))
            application.router.add_get(f"{venue.rest_path}/exchangeInfo", self._rest(venue.market, _exchange_info))
        application.router.add_get(ACCOUNT_CONFIG_PATH, self._account_config)
        application.router.add_route("*", "/{path:.*}", _unknown_path)
        return application

    def _rest(self, market: Market, content: "_Content") -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            charged = self._charge(request, LIGHT_WEIGHT)
            return await self._answer(request, market, *charged, lambda: content(self._state, market))

        return handle

    async def _account_config(self, request: web.Request) -> web.StreamResponse:
        server_ms, refusal = self._charge(request, ACCOUNT_WEIGHT)
        account: Account | None = None
        if refusal is None:
            api_key, query = request.headers.get("X-MBX-APIKEY", ""), request.rel_url.raw_query_string
            try:
                account = authenticate_query(self._state.keyring, api_key, query, server_ms)
            except RefusedError as exc:
                refusal = exc.refusal
        body = account_config(account) if account else {}
        label = account.label if account else None
        return await self._answer(request, Market.USDM, server_ms, refusal, lambda: body, label=label)

    async def _answer(
        self,
        request: web.Request,
        market: Market,
        server_ms: int,
        refusal: Refusal | None,
        content: Callable[[], Mapping[str, object]],
        *,
        label: str | None = None,
    ) -> web.StreamResponse:
        status = refusal.status if refusal else 200
        self._state.journal.record(
            SeenRequest(market=market, method=request.path, label=label, at_ms=server_ms, status=status)
        )
        interference = await self._interfere(request, Stage.REST, market, label)
        if interference is not None:
            return interference
        if refusal is not None:
            return self._refused(request, refusal, server_ms)
        # Read after a scripted delay: a slow reply still tells the time at which it leaves.
        return self._json(request, 200, content())

    def _websocket(self, market: Market) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            server_ms, refusal = self._charge(request, HANDSHAKE_WEIGHT)
            response = await self._interfere(request, Stage.HANDSHAKE, market)
            if response is None and refusal is not None:
                response = self._refused(request, refusal, server_ms)
            websocket = web.WebSocketResponse(timeout=_CLOSING_SECONDS, autoping=False, autoclose=False, compress=False)
            if response is None and not websocket.can_prepare(request):
                response = self._json(request, 400, {"code": -1000, "msg": "A WebSocket upgrade is expected."})
            status = 101 if response is None else response.status
            self._state.journal.record(SeenHandshake(market=market, at_ms=server_ms, status=status))
            if response is not None:
                return response
            await websocket.prepare(request)
            await self._converse(market, request, websocket)
            return websocket

        return handle

    async def _converse(self, market: Market, request: web.Request, websocket: web.WebSocketResponse) -> None:
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return
        peer = Peer(
            market=market,
            ip=request.remote or "",
            shows_limits=request.query.get("returnRateLimits") != "false",
            number=next(self._numbers),
        )
        connection = Connection(self._state, self._rules, peer, websocket)
        self.connections.add(connection)
        try:
            await connection.run(transport)
        finally:
            self.connections.discard(connection)

    async def _interfere(
        self, request: web.Request, stage: Stage, market: Market, label: str | None = None
    ) -> web.StreamResponse | None:
        outcome: Outcome = self._state.faults.outcome(stage, market, label=label, path=request.path)
        await asyncio.sleep(outcome.delay)
        if isinstance(outcome.ending, Reset):
            reset(request.transport)
            return web.Response(status=500)
        return _http(outcome.http) if outcome.http is not None else None

    def _charge(self, request: web.Request, weight: int) -> tuple[int, Refusal | None]:
        server_ms = self._state.server_ms()
        try:
            self._state.pool(request.remote or "").spend(weight, server_ms)
        except RefusedError as exc:
            return server_ms, exc.refusal
        return server_ms, None

    def _refused(self, request: web.Request, refusal: Refusal, server_ms: int) -> web.Response:
        response = self._json(request, refusal.status, error(refusal, server_ms))
        if refusal.retry_after_ms is not None:
            response.headers["Retry-After"] = str(-((server_ms - refusal.retry_after_ms) // 1000))
        return response

    def _json(self, request: web.Request, status: int, document: Mapping[str, object]) -> web.Response:
        used = self._state.pool(request.remote or "").count(self._state.server_ms())
        headers = {"X-MBX-USED-WEIGHT-1M": str(used)}
        return web.Response(status=status, body=encode(document), content_type="application/json", headers=headers)


_Content = Callable[[State, Market], Mapping[str, object]]


def _time(state: State, _market: Market) -> Mapping[str, object]:
    return {"serverTime": state.server_ms()}


def _exchange_info(state: State, market: Market) -> Mapping[str, object]:
    return exchange_info(market, state.server_ms(), state.limits.weight)


async def _unknown_path(request: web.Request) -> web.StreamResponse:
    msg = f"Path {request.path}, Method {request.method} is invalid"
    return web.Response(status=404, body=encode({"code": -5000, "msg": msg}), content_type="application/json")


def _http(reply: HttpReply) -> web.Response:
    return web.Response(
        status=reply.status, body=reply.body, content_type=reply.content_type, headers=dict(reply.headers)
    )
