"""Errors of SQLAlchemy and psycopg in the words of the project, decided by SQLSTATE: is it the data or the database?"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from poller.errors import HistoryInUseError, StoreUnavailableError, UnstorableError

_DATA_CLASSES: Final = ("22", "23")
_SCHEMA_CLASSES: Final = ("42", "3F")
_INSUFFICIENT_PRIVILEGE: Final = "42501"
_CHECK_VIOLATION: Final = "23514"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_MAX_REASON: Final = 300


@contextmanager
def translated_failures() -> Iterator[None]:
    """Raise UnstorableError for a fault of the data, StoreUnavailableError for every other failure.

    The reason never repeats the data, since they may be anything, nor the password, which no message of libpq holds.
    """
    try:
        yield
    except DBAPIError as exc:
        raise _translate(exc.orig) from exc
    except psycopg.Error as exc:
        raise _translate(exc) from exc
    except UnicodeError as exc:
        raise UnstorableError("a text is not valid Unicode") from exc
    except TimeoutError as exc:
        raise StoreUnavailableError("the database does not answer") from exc
    except (SQLAlchemyError, OSError) as exc:
        raise StoreUnavailableError(_one_line(str(exc)) or type(exc).__name__) from exc


@contextmanager
def without_data() -> Iterator[None]:
    """Raise StoreUnavailableError for every failure of a call that no poll's data take part in."""
    try:
        with translated_failures():
            yield
    except UnstorableError as exc:
        raise StoreUnavailableError(f"the database does not keep its own rules: {exc}") from exc


@contextmanager
def kept_by_others() -> Iterator[None]:
    """Raise HistoryInUseError where a lock or a right is what a call lacks: others need not care."""
    try:
        yield
    except DBAPIError as exc:
        cause = exc.orig
        if not isinstance(cause, psycopg.Error) or cause.sqlstate not in {_LOCK_NOT_AVAILABLE, _INSUFFICIENT_PRIVILEGE}:
            raise
        raise HistoryInUseError(str(_translate(cause))) from exc


def misses_partition(error: DBAPIError) -> bool:
    """Tell whether a row met no partition: the one check violation that no constraint is the cause of."""
    cause = error.orig
    return (
        isinstance(cause, psycopg.Error) and cause.sqlstate == _CHECK_VIOLATION and cause.diag.constraint_name is None
    )


def _translate(error: BaseException | None) -> UnstorableError | StoreUnavailableError:
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if isinstance(error, psycopg.Error) and state:
        return _translate_state(error, state)
    # psycopg itself refuses values that cannot be sent, such as a text with a NUL.
    if isinstance(error, psycopg.DataError):
        return UnstorableError("a value cannot be sent to the database")
    return StoreUnavailableError(_one_line(str(error)) or type(error).__name__)


def _translate_state(error: psycopg.Error, state: str) -> UnstorableError | StoreUnavailableError:
    if state.startswith(_DATA_CLASSES):
        return UnstorableError(_fault(error))
    said = _one_line(error.diag.message_primary or type(error).__name__)
    if state == _INSUFFICIENT_PRIVILEGE:
        return StoreUnavailableError(f"the role lacks a right: {said}; `poller check` lists all that it lacks")
    if state.startswith(_SCHEMA_CLASSES):
        return StoreUnavailableError(f"the schema does not fit this release: {said}; run `poller migrate`")
    return StoreUnavailableError(f"{said} (SQLSTATE {state})")


def _fault(error: psycopg.Error) -> str:
    place = error.diag.constraint_name or error.diag.column_name or error.diag.table_name
    return f"{type(error).__name__}{f' of {place}' if place else ''} (SQLSTATE {error.sqlstate})"


def _one_line(message: str) -> str:
    return " ".join(message.split())[:_MAX_REASON]
