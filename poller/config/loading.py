"""config.yaml and the environment → settings, or every problem at once."""

from collections.abc import Mapping
from pathlib import Path

from poller.config.cautions import cautions
from poller.config.checks import check
from poller.config.document import Tree, parse
from poller.config.places import Places, find_places, starting_from
from poller.config.problems import Location, Problems
from poller.config.settings import Settings
from poller.config.validation import validate
from poller.config.variables import expand
from poller.errors import ConfigError

_LONGEST = 2**20
_DATABASE_URL: Location = ("database", "url")


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings in the file at `path`, with references such as `${NAME}` taken from `environ`.

    DATABASE_URL in `environ` replaces both database addresses of the file; STATE_DIRECTORY is where data go.

    Raises:
        ConfigError: The configuration cannot be used; it holds every problem.
    """
    problems = Problems()
    document = parse(_read(path), source=str(path), problems=problems)
    database_url = environ.get("DATABASE_URL")
    dropped = _drop_database_urls(document.tree) if database_url else frozenset()
    tree, replaced = expand(document.tree, environ, problems)
    if database_url:
        replaced |= _put_database_url(tree, database_url)
    with starting_from(_places(path, environ, problems)):
        settings = validate(tree, problems)
    check(settings, problems)
    if problems:
        names = {_DATABASE_URL: "DATABASE_URL"} if database_url else {}
        raise ConfigError(problems.messages(document.position, names))
    return settings.with_warnings(cautions(settings, replaced=replaced, dropped=dropped))


def _drop_database_urls(tree: Tree) -> frozenset[str]:
    """Take both addresses out of the file, since DATABASE_URL must not end up beside another server's migration_url."""
    database = tree.get("database")
    if not isinstance(database, dict):
        return frozenset()
    return frozenset(key for key in ("url", "migration_url") if database.pop(key, None) is not None)


def _put_database_url(tree: Tree, url: str) -> frozenset[Location]:
    database = tree.setdefault("database", {})
    if isinstance(database, dict):
        database["url"] = url
    return frozenset({_DATABASE_URL})


def _places(path: Path, environ: Mapping[str, str], problems: Problems) -> Places:
    try:
        return find_places(path, environ)
    except ValueError as error:
        problems.add(("STATE_DIRECTORY",), str(error))
        return find_places(path, {})


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(content) > _LONGEST:
        raise ConfigError([f"{path}: is larger than 1 MiB"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}: line {line}: is not UTF-8"]) from None
