"""What the dictionary holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table, a view or a function's result, or an argument."""

    name: str
    type: str
    comment: str | None
    nullable: bool = True
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A primary, unique or foreign key; the latter two fields are a foreign key's."""

    name: str
    kind: str
    columns: tuple[str, ...]
    refers_to: str | None
    referred: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index that no key brings along."""

    name: str
    unique: bool
    columns: tuple[str, ...]
    condition: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table or a view; `sources` are what a view reads."""

    name: str
    is_view: bool
    comment: str | None
    columns: tuple[Column, ...]
    keys: tuple[Key, ...]
    indexes: tuple[Index, ...]
    sources: tuple[str, ...]

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key; none of a view."""
        return next((key.columns for key in self.keys if key.kind == "p"), ())

    @property
    def foreign_keys(self) -> tuple[Key, ...]:
        """What the database holds together itself."""
        return tuple(key for key in self.keys if key.kind == "f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function; `columns` are those of its result, none when it returns a value without columns."""

    name: str
    comment: str | None
    arguments: tuple[Column, ...]
    returns: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """All of schema `poller`, by name."""

    relations: tuple[Relation, ...]
    functions: tuple[Function, ...]

    @property
    def entries(self) -> tuple[Relation | Function, ...]:
        """What has a place of its own in the dictionary."""
        return (*self.relations, *self.functions)
