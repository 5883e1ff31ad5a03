"""The request weight that one IP has: one pool for both markets, WebSocket, handshakes and REST."""

from dataclasses import dataclass

from poller.simulator.refusal import RefusedError, refuse

_MINUTE_MS = 60_000
_TOO_MANY = (
    "Too many requests; current limit of IP({ip}) is {limit} requests per minute. "
    "Please use the websocket for live updates to avoid polling the API."
)
_BANNED = (
    "Way too many requests; IP({ip}) banned until {until}. Please use the websocket for live updates to avoid bans."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightLimits:
    """How much an IP may ask for.

    Attributes:
        weight: In each minute of the exchange's clock.
        tolerance: Refused requests in one minute after which the IP is banned.
        ban_seconds: The first ban; every further one is twice as long.
    """

    weight: int = 2400
    tolerance: int = 20
    ban_seconds: int = 120
    longest_ban_seconds: int = 3 * 86_400


class WeightPool:
    """What one IP has used up. All times are ms of the exchange's clock."""

    def __init__(self, ip: str, limits: WeightLimits) -> None:
        self._ip = ip
        self._limits = limits
        self._minute = 0
        self._count = 0
        self._refused = 0
        self._bans = 0
        self._banned_until_ms = 0

    def spend(self, weight: int, at_ms: int) -> None:
        """Count a request.

        Raises:
            RefusedError: The limit is exceeded (429) or the IP is banned (418); the weight is counted all the same.
        """
        self._enter_minute(at_ms)
        self._count += weight
        if at_ms < self._banned_until_ms:
            raise self._banned()
        if self._count <= self._limits.weight:
            return
        self._refused += 1
        if self._refused > self._limits.tolerance:
            self.ban(min(self._limits.ban_seconds * 2**self._bans, self._limits.longest_ban_seconds), at_ms)
            raise self._banned()
        msg = _TOO_MANY.format(ip=self._ip, limit=self._limits.weight)
        raise refuse(429, -1003, msg, (self._minute + 1) * _MINUTE_MS)

    def ban(self, seconds: float, at_ms: int) -> None:
        """Serve nothing to this IP until `seconds` have passed."""
        self._bans += 1
        self._banned_until_ms = at_ms + int(seconds * 1000)

    def count(self, at_ms: int) -> int:
        """Return the weight that was used up in the minute of `at_ms`."""
        self._enter_minute(at_ms)
        return self._count

    def rate_limits(self, at_ms: int) -> list[dict[str, object]]:
        """Return what replies tell of the pool."""
        return [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._limits.weight,
                "count": self.count(at_ms),
            }
        ]

    def _banned(self) -> RefusedError:
        msg = _BANNED.format(ip=self._ip, until=self._banned_until_ms)
        return refuse(418, -1003, msg, self._banned_until_ms)

    def _enter_minute(self, at_ms: int) -> None:
        minute = at_ms // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._count, self._refused = minute, 0, 0
