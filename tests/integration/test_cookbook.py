"""The cookbook's statements answer what the document says, on each kind of server."""

import re

import pytest

from tests.support.cookbook import DOCUMENT, answers, recipes, with_answers

WRITTEN = DOCUMENT.read_text(encoding="utf-8")
RECIPES = recipes(WRITTEN)


def test_every_answer_is_what_the_document_says(history_url: str) -> None:
    given = answers(history_url, [recipe.query for recipe in RECIPES])

    assert {recipe.question: answer for recipe, answer in zip(RECIPES, given, strict=True)} == {
        recipe.question: recipe.answer for recipe in RECIPES
    }, "write them anew with `make cookbook` and review the diff"


def test_every_question_has_one_statement_and_an_answer() -> None:
    asked = re.findall(r"^### (.*)$", WRITTEN, flags=re.MULTILINE)

    assert [recipe.question for recipe in RECIPES] == asked
    assert [recipe.question for recipe in RECIPES if recipe.query.count(";") != 1 or not recipe.answer] == []
    assert len(set(asked)) == len(asked) >= 40


def test_no_answer_depends_on_the_order_in_which_rows_are_found() -> None:
    one_row = "(1 row)"

    assert [
        recipe.question for recipe in RECIPES if "ORDER BY" not in recipe.query and one_row not in recipe.answer
    ] == []


def test_writing_the_answers_changes_nothing_else() -> None:
    assert with_answers(WRITTEN, [recipe.answer for recipe in RECIPES]) == WRITTEN


def test_a_statement_that_is_refused_is_told(history_url: str) -> None:
    with pytest.raises(RuntimeError, match="no_such_view"):
        answers(history_url, ["SELECT 1;", "SELECT * FROM poller.no_such_view;"])
