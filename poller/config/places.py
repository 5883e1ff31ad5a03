"""Where relative paths start. Validators read it while a file is loaded: pydantic-settings hands them no context."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of one load, all absolute.

    Attributes:
        config: What key files are relative to.
        state: What data are relative to.
        credentials: Where systemd keeps what it hands to this unit alone; None when it does not.
    """

    config: Path
    state: Path
    credentials: Path | None = None


_places: ContextVar[Places] = ContextVar("places")


@contextmanager
def starting_from(places: Places) -> Iterator[None]:
    """Let relative paths start from `places` inside this block."""
    token = _places.set(places)
    try:
        yield
    finally:
        _places.reset(token)


def current() -> Places:
    """Return the places of the load that is under way."""
    return _places.get()


def find_places(config_file: Path, environ: Mapping[str, str]) -> Places:
    """Return where the paths of this file start.

    Raises:
        ValueError: STATE_DIRECTORY is not one absolute path.
    """
    directory = config_file.absolute().parent
    state = environ.get("STATE_DIRECTORY") or str(directory)
    # systemd joins several directories with colons, and then none of them is the one.
    if ":" in state or not Path(state).is_absolute():
        raise ValueError("must be one absolute path")
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    return Places(config=directory, state=Path(state), credentials=Path(credentials) if credentials else None)


def data_path(text: object) -> Path:
    """Return where data go, absolute.

    Raises:
        ValueError: The text is no usable path.
    """
    return current().state / _checked(text)


def key_path(text: object) -> Path:
    """Return where a key file is, absolute.

    Raises:
        ValueError: The text is no usable path.
    """
    return current().config / _checked(text)


def _checked(text: object) -> str:
    if not isinstance(text, str) or not text or not text.isprintable():
        raise ValueError("must be a path")
    if text.startswith("~"):
        raise ValueError("must be a whole path: `~` is not expanded")
    return text
