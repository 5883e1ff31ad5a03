"""Where each table, view and function stands in the dictionary, and what belongs together without a foreign key.

The list to change when something new finds no place, or belongs to something.
"""

from enum import Enum
from fnmatch import fnmatch
from typing import Final, NamedTuple

from tests.support.dictionary.catalog import Function, Relation, Schema


class Group(Enum):
    """The parts of the dictionary, in order, by their titles."""

    HISTORY = "Recorded history"
    MEANING = "What gives it a meaning"
    VIEWS = "Views for people"
    CHARTS = "Chart functions"
    ROLLUPS = "Rollups"
    DAEMON = "Of the daemon"


TEXTS: Final = {
    Group.HISTORY: "What was polled, partitioned by `time`: a condition on `time` reads only the part of the history "
    "that it needs. The rows of one poll have the same `time`, `account` and `market`.",
    Group.MEANING: "Small tables that say whose the history is, what was promised, and in which units it is.",
    Group.VIEWS: "Made from the tables at each query: nothing in them is stored, and nothing is filled in over a gap.",
    Group.CHARTS: "A row for each step of a grid of time, for dashboards and notebooks.",
    Group.ROLLUPS: "Hourly tables that stay when the history that they were made from is dropped, and daily views of "
    "them.",
    Group.DAEMON: "What the daemon and the migrations use. An analyst needs none of it.",
}

_Rules = tuple[tuple[str, Group], ...]

# The first pattern that fits counts.
_TABLES: Final[_Rules] = (
    ("alembic_version", Group.DAEMON),
    ("rollup_*", Group.DAEMON),
    ("hourly_*", Group.ROLLUPS),
    ("accounts", Group.MEANING),
    ("account_modes", Group.MEANING),
    ("contracts", Group.MEANING),
    ("dropped_history", Group.MEANING),
    ("runs", Group.MEANING),
    ("schedules", Group.MEANING),
)
_VIEWS: Final[_Rules] = (
    ("daily_close", Group.VIEWS),
    ("daily_*", Group.ROLLUPS),
    ("hourly_*", Group.ROLLUPS),
    ("*", Group.VIEWS),
)
_FUNCTIONS: Final[_Rules] = (
    ("gaps_between", Group.VIEWS),
    ("newest_*", Group.VIEWS),
    ("chart_polls_from", Group.DAEMON),
    ("chart_*", Group.CHARTS),
    ("*", Group.DAEMON),
)

# Left table, kind in the notation of Mermaid (|| one, |o none or one, }o none or more; .. no foreign key), right table,
# what they are joined by. A name may be a pattern.
RELATIONS: Final = (
    ("accounts", "||..o{", "polls", "account"),
    ("schedules", "}o..o{", "polls", "account, market, time"),
    ("runs", "||..o{", "polls", "instance"),
    ("runs", "}|..o{", "schedules", "recorder"),
    ("polls", "||..o{", "positions", "time, account, market"),
    ("polls", "||..o{", "asset_balances", "time, account, market"),
    ("polls", "||..o|", "account_totals", "time, account, market"),
    ("polls", "||..o|", "raw_payloads", "time, account, market"),
    ("polls", "|o..o{", "rejected_payloads", "time, account, market"),
    ("contracts", "|o..o{", "positions", "market, symbol"),
    ("accounts", "||..o{", "hourly_*", "account"),
)


# What tells the rows of a table apart that no key keeps apart.
_TOLD_APART: Final = {
    "asset_balances": ("time", "account", "market", "asset"),
    "positions": ("time", "account", "market", "symbol", "position_side"),
    "raw_payloads": ("time", "account", "market"),
}

_HERE: Final = "tests/support/dictionary/groups.py"


class Joined(NamedTuple):
    """Two tables whose rows belong together, by columns that both have unless one says it otherwise."""

    left: str
    kind: str
    right: str
    by: str


class NoPlaceError(Exception):
    """Something of the schema is not in the lists of this module; the message says what to add."""


def group_of(entry: Relation | Function) -> Group:
    """Return where a table, view or function stands; raises NoPlaceError."""
    if isinstance(entry, Function):
        rules = _FUNCTIONS
    elif entry.is_view:
        rules = _VIEWS
    elif {"time", "account", "market"} <= {column.name for column in entry.columns}:
        return Group.HISTORY
    else:
        rules = _TABLES
    for pattern, group in rules:
        if fnmatch(entry.name, pattern):
            return group
    raise NoPlaceError(f"table poller.{entry.name} has no place in the dictionary: list it among _TABLES in {_HERE}")


def told_apart(table: Relation) -> tuple[str, ...]:
    """Return by which columns the writer keeps the rows of a table apart; none where a key does."""
    return () if any(key.kind in "pu" for key in table.keys) else _TOLD_APART.get(table.name, ())


def relations_of(schema: Schema) -> list[Joined]:
    """Return what belongs together: by a foreign key, else by RELATIONS; raises NoPlaceError."""
    tables = [relation.name for relation in schema.relations if not relation.is_view]
    held = [
        Joined(str(key.refers_to), "||--o{", relation.name, ", ".join(key.columns))
        for relation in schema.relations
        for key in relation.foreign_keys
    ]
    listed = []
    for left, kind, right, by in RELATIONS:
        for pattern in (left, right):
            if "*" not in pattern and pattern not in tables:
                raise NoPlaceError(f"there is no table poller.{pattern}: correct RELATIONS in {_HERE}")
        pairs = [(one, other) for one in tables for other in tables if fnmatch(one, left) and fnmatch(other, right)]
        listed += [Joined(one, kind, other, by) for one, other in pairs]
    known = {(joined.left, joined.right) for joined in held}
    return [joined for joined in listed if (joined.left, joined.right) not in known] + held
