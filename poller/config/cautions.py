"""What a valid configuration should still be told about."""

from collections.abc import Iterator

from poller.config.addresses import passwords
from poller.config.problems import Location, written
from poller.config.settings import Settings
from poller.observation import Environment

_SECRETS = ("api_key", "api_secret", "private_key_passphrase")


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
    if settings.environment is Environment.LIVE and settings.database_url is None:
        found.append("database.url: live history goes into the embedded database, of which nobody makes backups")
    return tuple(found)


def _secrets(settings: Settings) -> Iterator[Location]:
    for index, account in enumerate(settings.accounts):
        yield from (("accounts", index, name) for name in _SECRETS if getattr(account, name) is not None)
    urls = {"url": settings.database.url, "migration_url": settings.database.migration_url}
    yield from (("database", name) for name, url in urls.items() if url and passwords(url.get_secret_value()))
