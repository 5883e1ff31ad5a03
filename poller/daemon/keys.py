"""What is watched of the keys: whether one changed under its label, and whether one could do more than read."""

import hmac
from collections.abc import Collection, Sequence
from typing import Final

import structlog

from poller.config import Settings
from poller.errors import SpoolFullError
from poller.exchange.signing import Credentials
from poller.normalize import Normalized
from poller.observation import Market
from poller.poll import Target
from poller.records import AccountTotals
from poller.spool import Spool

_FINGERPRINT_BYTES: Final = 16

_log = structlog.stdlib.get_logger()


def fingerprint(credentials: Credentials, *, recorder: str) -> bytes:
    """Return what may be stored of a key, to notice that another one is used.

    It is of the API key alone, the half that is sent with every request, never of what signs: a secret that was mended
    is no other key. The exchange's API keys are 64 random characters, above 380 bits, so that nobody finds one by
    trying, and 16 bytes of a SHA-256 are enough to tell two apart. It is keyed with the spool's identity, so that
    fingerprints in two spools do not show that both record with the same key.
    """
    return hmac.digest(recorder.encode(), credentials.api_key.encode(), "sha256")[:_FINGERPRINT_BYTES]


async def compare_keys(spool: Spool, targets: Sequence[Target]) -> None:
    """Tell in the log which accounts have another key than when the spool last saw them, and remember the keys.

    A spool that cannot do this now is logged, and recording goes on.
    """
    current = {target.account: fingerprint(target.credentials, recorder=spool.recorder) for target in targets}
    try:
        known = await spool.notes()
        for account, seen in current.items():
            before = known.get(f"key:{account}")
            if before is not None and before != seen:
                _log.warning("key changed", account=account)
            if before != seen:
                await spool.remember(f"key:{account}", seen)
    except SpoolFullError as exc:
        _log.warning("keys not compared", reason=str(exc))


def read_only_accounts(settings: Settings) -> frozenset[str]:
    """Return the accounts whose keys are known to read and nothing else; the simulator's own can do no harm."""
    return frozenset(account.name for account in settings.accounts if settings.simulates or account.key_is_read_only)


class TradingWarnings:
    """Warns when an account can trade or withdraw and its key is not known to be read-only.

    The exchange tells it of the account, not of the key: a key that may only read says the same. Of the two markets
    COIN-M's reply says it. It is told once, and again when the account could not in between.
    """

    def __init__(self, read_only: Collection[str]) -> None:
        self._read_only = frozenset(read_only)
        self._told: set[str] = set()

    def __call__(self, understood: Normalized) -> None:
        """Look at a poll that was stored."""
        snapshot = understood.snapshot
        account = snapshot.poll.account
        if snapshot.poll.market is not Market.COINM or snapshot.totals is None or account in self._read_only:
            return
        if snapshot.totals.can_trade is None and snapshot.totals.can_withdraw is None:
            return
        can = able_to(snapshot.totals)
        if can and account not in self._told:
            self._told.add(account)
            _log.warning(
                "key may trade",
                account=account,
                reason=f"the account can {can}; the key is not known to be read-only",
                see="docs/operations.md, Keys",
            )
        elif not can:
            self._told.discard(account)


def able_to(totals: AccountTotals) -> str:
    """Return `trade`, `withdraw`, both or nothing: what the exchange says that the account can do."""
    words = {"trade": totals.can_trade, "withdraw": totals.can_withdraw}
    return " and ".join(word for word, can in words.items() if can)
