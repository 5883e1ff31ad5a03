"""A tree of text → settings; what pydantic finds becomes problems in our words, without values."""

from copy import deepcopy
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from poller.config.document import Tree
from poller.config.problems import Location, Problems
from poller.config.settings import Settings

_TEXTS = {
    "missing": "is missing",
    "model_type": "must be a section of `key: value` lines",
    "tuple_type": "must be a list, such as [a, b]",
    "string_type": "must be text",
    "string_unicode": "must be text",
}
_EXPECTING = {"enum", "literal_error"}
_UNKNOWN_KEY = "extra_forbidden"


def validate(tree: Tree, problems: Problems) -> Settings:
    """Return the settings that the tree stands for.

    Every refused value is reported and stands aside for a harmless one, so that the rest can be checked further: with
    problems, the settings are good for nothing else.
    """
    try:
        return Settings.from_tree(tree)
    except ValidationError as error:
        # Unknown keys first: what they were meant to be is then not reported as missing.
        errors = sorted(
            error.errors(include_url=False, include_input=False), key=lambda found: found["type"] != _UNKNOWN_KEY
        )
    for found in errors:
        _report(found, problems)
    return Settings.from_tree(_repaired(tree, [found["loc"] for found in errors]))


def _report(error: ErrorDetails, problems: Problems) -> None:
    location = error["loc"]
    if error["type"] == _UNKNOWN_KEY:
        meant = get_close_matches(str(location[-1]), _keys(location[:-1]), n=1)
        if meant:
            problems.lose((*location[:-1], meant[0]))
        problems.add_lost(location, f"is not a key that exists here{_hint(meant)}")
    else:
        problems.add_lost(location, _text(error))


def _hint(meant: list[str]) -> str:
    return f": did you mean {meant[0]}?" if meant else ""


def _text(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] in _EXPECTING:
        return f"must be {error['ctx']['expected']}".replace("'", "")
    return _TEXTS.get(error["type"], "cannot be used")


def _keys(location: Location) -> list[str]:
    model: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, str):
            annotation = next(field.annotation for name, field in model.model_fields.items() if name == part)
            model = next(kind for kind in (annotation, *get_args(annotation)) if _is_section(kind))
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _repaired(tree: Tree, refused: list[Location]) -> Tree:
    tree = deepcopy(tree)
    for location in refused:
        _remove(tree, location)
    exchange = tree.setdefault("exchange", {})
    exchange.setdefault("environment", "simulated")
    for index, account in enumerate(tree.setdefault("accounts", [{}])):
        account.setdefault("name", f"unnamed-{index}")
    return tree


def _remove(tree: Tree, location: Location) -> None:
    *holders, last = location
    while isinstance(last, int) and holders != ["accounts"]:
        last = holders.pop()  # an item goes with its list, since its neighbours would change their places
    node: Any = tree
    for part in holders:
        node = node[part]
    if isinstance(last, int):
        node[last] = {}
    else:
        node.pop(last, None)
