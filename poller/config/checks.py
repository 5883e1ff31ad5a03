"""Rules between values: each reports what it finds, and keeps quiet about what follows from a value already lost."""

from datetime import timedelta

from poller.config.problems import Location, Problems
from poller.config.settings import Account, Settings
from poller.config.weights import Load, Plan, shortage
from poller.observation import Environment, Market

_KEYS = ("api_key", "api_key_file")
_SECRETS = ("api_secret", "api_secret_file", "private_key_file")
_CREDENTIALS = (*_KEYS, *_SECRETS, "private_key_passphrase")


def plan(settings: Settings) -> Plan:
    """Return what the accounts need of the IP's weight."""
    loads = [Load(frozenset(account.markets), account.interval_seconds) for account in settings.accounts]
    return Plan(loads=loads, share=settings.exchange.weight_share)


def check(settings: Settings, problems: Problems) -> None:
    """Report every broken rule."""
    _check_addresses(settings, problems)
    _check_proxy(settings, problems)
    _check_migration_url(settings, problems)
    _check_retention(settings, problems)
    accounts = {
        index: account for index, account in enumerate(settings.accounts) if not problems.lost(("accounts", index))
    }
    if not settings.accounts:
        problems.add(("accounts",), "must not be empty")
    _check_names(accounts, problems)
    _check_shared_keys(accounts, problems)
    for index, account in accounts.items():
        _check_account(account, ("accounts", index), settings, problems)
    _check_weight(settings, problems)


def _check_addresses(settings: Settings, problems: Problems) -> None:
    if _environment_unknown(problems) or settings.environment is not Environment.SIMULATED or settings.simulates:
        return
    for market in Market:
        addresses = settings.addresses.get(market)
        for name, url in {
            "ws_url": addresses and addresses.ws_url,
            "rest_url": addresses and addresses.rest_url,
        }.items():
            if url is None:
                at = ("exchange", "markets", market.value, name)
                problems.add(at, "is missing: a simulated exchange elsewhere needs all addresses of both markets")


def _check_proxy(settings: Settings, problems: Problems) -> None:
    if settings.exchange.proxy is None:
        return
    if settings.simulates and not _environment_unknown(problems):
        problems.add(("exchange", "proxy"), "must be absent: the simulator that runs with the daemon needs no way out")
    for market, addresses in settings.addresses.items():
        for name, encrypted, url in (("ws_url", "wss", addresses.ws_url), ("rest_url", "https", addresses.rest_url)):
            if url is not None and not url.startswith(f"{encrypted}://"):
                at = ("exchange", "markets", market.value, name)
                problems.add(at, f"must be {encrypted}:// with exchange.proxy: it leads to encrypted addresses alone")


def _check_migration_url(settings: Settings, problems: Problems) -> None:
    embedded = settings.database_url is None and not problems.lost(("database", "url"))
    if embedded and settings.database.migration_url is not None:
        problems.add(("database", "migration_url"), "must be absent: the embedded database has one user")


def _check_retention(settings: Settings, problems: Problems) -> None:
    at: Location = ("database", "retention")
    if problems.damaged(at):
        return
    retention = settings.database.retention
    limits = retention.limits()
    longer = [table for table, _ in retention if limits.get(table, timedelta.max) > limits.get("polls", timedelta.max)]
    if longer:
        rule = f"must not be shorter than for {', '.join(longer)}: a poll that is gone could be stored once more"
        problems.add((*at, "polls"), rule)


def _check_names(accounts: dict[int, Account], problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, account in accounts.items():
        if problems.lost(("accounts", index, "name")):
            continue
        same = first.setdefault(account.name.casefold(), index)
        if same != index:
            problems.add(("accounts", index, "name"), f"is the name of accounts[{same}] too (capitals do not count)")


def _check_shared_keys(accounts: dict[int, Account], problems: Problems) -> None:
    first: dict[tuple[str, Market], int] = {}
    for index, account in accounts.items():
        if account.key is None or problems.damaged(("accounts", index, "markets")):
            continue
        key = account.key.get_secret_value()
        owners = {market: first.setdefault((key, market), index) for market in dict.fromkeys(account.markets)}
        shared = [f"accounts[{owner}] for {market}" for market, owner in owners.items() if owner != index]
        if shared:
            name = "api_key" if account.api_key else "api_key_file"
            problems.add(("accounts", index, name), f"is the key of {' and '.join(shared)} too")


def _check_account(account: Account, at: Location, settings: Settings, problems: Problems) -> None:
    if not account.markets:
        problems.add((*at, "markets"), "must not be empty")
    if len(set(account.markets)) < len(account.markets):
        problems.add((*at, "markets"), "names a market twice")
    if account.asset_mode and Market.USDM not in account.markets and not problems.damaged((*at, "markets")):
        problems.add((*at, "asset_mode"), "must be absent: coinm has no asset modes")
    if _environment_unknown(problems):
        return
    given = {name for name in _CREDENTIALS if getattr(account, name) is not None or problems.lost((*at, name))}
    if settings.simulates:
        for name in sorted(given):
            problems.add((*at, name), "must be absent: the simulator that runs with the daemon makes its own keys")
    else:
        _check_credentials(account, at, given, problems)


def _check_credentials(account: Account, at: Location, given: set[str], problems: Problems) -> None:
    keys, secrets = ([name for name in names if name in given] for names in (_KEYS, _SECRETS))
    if not keys:
        problems.add((*at, "api_key"), "is missing: every account needs one unless the exchange is simulated")
    if not secrets:
        problems.add(at, "needs api_secret or api_secret_file, or private_key_file for an RSA or Ed25519 key")
    for names in (keys, secrets):
        if len(names) > 1:
            problems.add(at, f"has {' and '.join(names)}: only one of them can be right")
    if "private_key_passphrase" in given and "private_key_file" not in given:
        problems.add((*at, "private_key_passphrase"), "has no private_key_file to open")
    elif account.private_key_file and not problems.lost((*at, "private_key_passphrase")):
        try:
            account.private_key_file.signer(account.private_key_passphrase)
        except ValueError as error:
            problems.add((*at, "private_key_file"), str(error))


def _check_weight(settings: Settings, problems: Problems) -> None:
    if not settings.accounts or problems.damaged(("accounts",)) or problems.lost(("exchange", "weight_share")):
        return
    planned = plan(settings)
    if not planned.fits:
        problems.add(("accounts",), shortage(planned))


def _environment_unknown(problems: Problems) -> bool:
    return problems.lost(("exchange", "environment")) or problems.damaged(("exchange", "markets"))
