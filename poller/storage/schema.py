"""Which revision a schema has, which one this release needs, and the way from one to the other. All of it blocks."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

import poller
from poller.errors import StoreUnavailableError
from poller.storage.failures import translated_failures


def head_revision() -> str:
    """Return the revision that this release reads and writes."""
    return _known_revisions()[0]


def current_revision(connection: Connection) -> str | None:
    """Return the revision of a database; None when it has no schema."""
    if connection.scalar(text("SELECT to_regclass('poller.alembic_version') IS NULL")):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM poller.alembic_version"))
    return revision


def check_revision(current: str | None) -> None:
    """Raise StoreUnavailableError, which says what to do, unless a schema is at the head."""
    head = head_revision()
    if current is None:
        raise StoreUnavailableError("the database has no schema yet: run `poller migrate`")
    if current not in _known_revisions():
        raise StoreUnavailableError(
            f"the schema is at revision {current}, newer than this release knows ({head}): install the release that "
            "upgraded it; `poller migrate` of this one cannot help"
        )
    if current != head:
        raise StoreUnavailableError(
            f"the schema is at revision {current}, this release needs {head}: run `poller migrate`"
        )


def upgrade(url: str, on_revision: Callable[[str], None]) -> None:
    """Bring the schema of a database to the head; `on_revision` gets `revision: what it does` for each step taken.

    Raises:
        StoreUnavailableError: It did not work; what was upgraded before stays so.
    """
    config = _config()
    config.attributes["url"] = url
    config.attributes["on_revision"] = on_revision
    with translated_failures():
        try:
            command.upgrade(config, "head")
        except CommandError as exc:
            raise StoreUnavailableError(f"the schema cannot be upgraded: {exc}") from exc


@cache
def _known_revisions() -> tuple[str, ...]:
    """Return all revisions, the head first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _config() -> Config:
    package = Path(poller.__file__).parent
    # The wheel carries the migrations inside the package; in a checkout they are beside it.
    places = (package / "migrations", package.parent / "migrations")
    config = Config()
    config.set_main_option("script_location", str(next(filter(Path.is_dir, places))).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
