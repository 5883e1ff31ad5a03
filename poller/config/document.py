"""YAML text → nested dicts and lists of text, and the order in which they stand.

Stricter than YAML: a key that is written twice, anchors, aliases and tags are refused. Every scalar stays text, since
the settings know their types better than YAML does (`no`, `1:30` and `0123` are words there); null means absent.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import ComposerError

from poller.config.problems import Location, Problems
from poller.errors import ConfigError

Tree = dict[str, Any]

_DEEPEST = 20
_NULL = "tag:yaml.org,2002:null"
_PLAIN_TAGS = frozenset({_NULL, "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


@dataclass(slots=True)
class Document:
    """A file as it was read.

    Attributes:
        tree: What the file says, without values that are null.
        order: Every value's number, counted from 1 in reading order.
    """

    tree: Tree = field(default_factory=dict)
    order: dict[Location, int] = field(default_factory=dict)

    def position(self, location: Location) -> int:
        """Return the number of a value, or of the nearest part of the file that would hold it, else 0."""
        for length in range(len(location), 0, -1):
            if number := self.order.get(location[:length]):
                return number
        return 0


def parse(text: str, *, source: str, problems: Problems) -> Document:
    """Return what the file says; `source` names it in messages.

    Raises:
        ConfigError: The text is not YAML, or not a mapping.
    """
    node = _compose(text, source)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError([f"{source}: must consist of `key: value` lines"])
    document = Document()
    document.tree = _mapping(node, (), document, problems)
    return document


class _Loader(yaml.SafeLoader):
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs give it no types
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            # An alias can hold itself, and nine of them can hold a billion values.
            raise ComposerError(problem="anchors and aliases are not supported", problem_mark=event.start_mark)
        if self._depth == _DEEPEST:
            raise ComposerError(problem="nested too deep", problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(_NULL, re.compile("(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        problem = (source, error.problem_mark, error.problem)
    except yaml.reader.ReaderError as error:
        mark = yaml.Mark(source, error.position, *_line_and_column(text, error.position), None, 0)
        problem = (source, mark, "a character that YAML does not allow")
    except (ValueError, OverflowError):  # PyYAML on "\UFFFFFFFF" and on absurd version numbers
        problem = (source, None, "not valid YAML")
    raise ConfigError([_syntax_problem(*problem)])


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n"), position - (before.rfind("\n") + 1)


def _syntax_problem(source: str, mark: yaml.Mark | None, problem: str | None) -> str:
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    # PyYAML quotes the word that follows a `!`, which is how a password may begin.
    words = re.sub(r"(tag handle) .*", r"\1", problem or "not valid YAML", flags=re.DOTALL)
    return f"{source}: {place}{words}"


def _value(node: yaml.Node, location: Location, document: Document, problems: Problems) -> object:
    document.order[location] = len(document.order) + 1
    if node.tag not in _PLAIN_TAGS:
        problems.add_lost(location, "YAML tags (words that begin with `!`) are not supported")
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, location, document, problems)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*location, index), document, problems) for index, item in enumerate(node.value)]
    return None if node.tag == _NULL else node.value


def _is_unicode(text: str) -> bool:
    """Tell whether a text holds no half of a surrogate pair, which an escape sequence of YAML can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mapping(node: yaml.MappingNode, location: Location, document: Document, problems: Problems) -> Tree:
    values: Tree = {}
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _NULL or not _is_unicode(key_node.value):
            problems.add(location, f"line {line} has a key that is not text")
            continue
        key = key_node.value
        if key in seen:
            problems.add((*location, key), f"is written twice, in line {seen[key]} and in line {line}")
            continue
        seen[key] = line
        value = _value(value_node, (*location, key), document, problems)
        if value is not None:
            values[key] = value
    return values
