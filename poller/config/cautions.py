"""What a valid configuration should still be told about."""

from collections.abc import Iterator

from pydantic import SecretStr

from poller.config.addresses import passwords
from poller.config.checks import plan
from poller.config.problems import Location, written
from poller.config.settings import Settings
from poller.observation import Environment

_SECRETS = ("api_key", "api_secret", "private_key_passphrase")

_NEARLY_ALL = 0.8


def cautions(settings: Settings, *, replaced: frozenset[Location], dropped: frozenset[str]) -> tuple[str, ...]:
    """Return one `path: what` for each thing that is allowed but perhaps not meant.

    `replaced` are the values that came from the environment, `dropped` the database addresses that DATABASE_URL set
    aside.
    """
    found = [
        f"{written(location)}: is written out in the file; an environment variable, as ${{NAME}}, keeps it out"
        for location in _secrets(settings)
        if location not in replaced
    ]
    if "migration_url" in dropped:
        found.append("database.migration_url: is not used, since DATABASE_URL replaces both addresses")
    planned = plan(settings)
    if planned.needed + planned.kept > _NEARLY_ALL * planned.allowed:
        found.append(
            f"exchange.weight_share: the polls need {planned.needed:,} of the {planned.allowed:,} weight a minute that "
            "it allows, and little is left for tries after a failure"
        )
    if settings.environment is Environment.LIVE and settings.database_url is None:
        found.append("database.url: live history goes into the embedded database, of which nobody makes backups")
    if not settings.http.local_only:
        found.append("http.listen: whoever reaches it sees how the daemon fares, without a password")
    kept = settings.database.retention
    if len({kept.polls, kept.account_totals, kept.asset_balances, kept.positions}) > 1:
        found.append(
            "database.retention: polls and their account_totals, asset_balances and positions are kept for different "
            "times: where one of them is dropped, the rest no longer tells nothing from zero"
        )
    return tuple(found)


def _secrets(settings: Settings) -> Iterator[Location]:
    for index, account in enumerate(settings.accounts):
        yield from (("accounts", index, name) for name in _SECRETS if getattr(account, name) is not None)
    urls: dict[Location, SecretStr | None] = {
        ("exchange", "proxy"): settings.exchange.proxy,
        ("database", "url"): settings.database.url,
        ("database", "migration_url"): settings.database.migration_url,
    }
    yield from (location for location, url in urls.items() if url and passwords(url.get_secret_value()))
