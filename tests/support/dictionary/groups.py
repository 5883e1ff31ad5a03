"""Where each table, view and function stands in the dictionary, and what belongs together without a foreign key.

The list to change when something new finds no place, or belongs to something.
"""

from enum import Enum
from fnmatch import fnmatch
from typing import Final

from tests.support.dictionary.catalog import Function, Relation, Schema


class Group(Enum):
    """The parts of the dictionary, in order: each with its title and what its members have in common."""

    HISTORY = (
        "Recorded history",
        "What was polled, partitioned by `time`: a condition on `time` reads only the part of the history that it "
        "needs. The rows of one poll have the same `time`, `account` and `market`.",
    )
    MEANING = (
        "What gives it a meaning",
        "Small tables that say whose the history is, what was promised, and in which units it is.",
    )
    VIEWS = (
        "Views for people",
        "Made from the tables at each query: nothing in them is stored, and nothing is filled in over a gap.",
    )
    CHARTS = (
        "Chart functions",
        "A row for each step of a grid of time, for dashboards and notebooks.",
    )
    ROLLUPS = (
        "Rollups",
        "Hourly tables that stay when the history that they were made from is dropped, and daily views of them.",
    )
    DAEMON = (
        "Of the daemon",
        "What the daemon and the migrations use. An analyst needs none of it.",
    )

    @property
    def title(self) -> str:
        """Its heading."""
        return self.value[0]

    @property
    def text(self) -> str:
        """What its members have in common."""
        return self.value[1]


# The first pattern that fits counts.
_TABLES: Final = (
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
_VIEWS: Final = (
    ("daily_close", Group.VIEWS),
    ("daily_*", Group.ROLLUPS),
    ("hourly_*", Group.ROLLUPS),
    ("*", Group.VIEWS),
)
_FUNCTIONS: Final = (
    ("chart_*", Group.CHARTS),
    ("*", Group.DAEMON),
)

# Left table, kind in the notation of Mermaid (|| one, |o none or one, }o none or more; .. no foreign key), right table,
# what they are joined by. A name may be a pattern.
RELATIONS: Final = (
    ("accounts", "||..o{", "polls", "account"),
    ("polls", "||..o|", "account_totals", "time, account, market"),
    ("polls", "||..o{", "asset_balances", "time, account, market"),
    ("polls", "||..o{", "positions", "time, account, market"),
    ("polls", "||..o|", "raw_payloads", "time, account, market"),
    ("polls", "|o..o{", "rejected_payloads", "time, account, market"),
    ("runs", "||..o{", "polls", "instance"),
    ("runs", "}|..o{", "schedules", "recorder"),
    ("contracts", "|o..o{", "positions", "market, symbol"),
    ("polls", "}o..o{", "hourly_*", "account, market, hour of time"),
)


class NoPlaceError(Exception):
    """Something of the schema is not in the lists of this module; the message says what to add."""


def group_of(entry: Relation | Function) -> Group:
    """Return where a table, view or function stands; raises NoPlaceError."""
    if isinstance(entry, Function):
        rules, kind = _FUNCTIONS, "function"
    elif entry.is_view:
        rules, kind = _VIEWS, "view"
    else:
        rules, kind = _TABLES, "table"
        if entry.primary_key[:3] == ("time", "account", "market"):
            return Group.HISTORY
    for pattern, group in rules:
        if fnmatch(entry.name, pattern):
            return group
    raise NoPlaceError(
        f"{kind} poller.{entry.name} has no place in the dictionary: list it in tests/support/dictionary/groups.py"
    )


def relations_of(schema: Schema) -> list[tuple[str, str, str, str]]:
    """Return RELATIONS with each pattern replaced by the tables that it fits; raises NoPlaceError."""
    tables = [relation.name for relation in schema.relations if not relation.is_view]
    found = []
    for left, kind, right, by in RELATIONS:
        for pattern in (left, right):
            if "*" not in pattern and pattern not in tables:
                raise NoPlaceError(
                    f"there is no table poller.{pattern}: correct RELATIONS in tests/support/dictionary/groups.py"
                )
        found += [
            (one, kind, other, by)
            for one in tables
            for other in tables
            if fnmatch(one, left) and fnmatch(other, right)
        ]
    return found
