"""The registry of crash points, read off the source: no commit without points around it."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.faults.crashes import PLACES, calls, engine_trees, registered_points


def bare_transactions(text: str) -> list[int]:
    """Lines that open a transaction without the points of a step."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Attribute, ast.Name))
        and (node.attr if isinstance(node, ast.Attribute) else node.id) == "atomic"
    ]


def test_every_transaction_is_a_step() -> None:
    """``step`` gives it a point before, inside and after; nothing else opens one."""
    found = {path: bare_transactions(ast.unparse(tree)) for path, tree in engine_trees().items()}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "text",
    [
        "with transaction.atomic():\n    pass",
        "@transaction.atomic\ndef f(): ...",
        "from django.db.transaction import atomic\nwith atomic(): pass",
    ],
)
def test_the_rule_sees_every_way(text: str) -> None:
    """Blocks, decorators and bare names."""
    assert bare_transactions(text) != []


def test_steps_have_names_of_their_own() -> None:
    """A name that stands twice would hide that one of the two is never passed."""
    names = Counter(name for tree in engine_trees().values() for name in calls(tree, "step"))
    assert [name for name, number in names.items() if number > 1] == []


def test_points_are_named_for_their_step_and_place() -> None:
    """A point after a commit has one before it."""
    points = set(registered_points())
    begun = {point.split(":")[0] for point in points if point.endswith(":begin")}
    ended = {point.split(":")[0] for point in points if point.endswith(":committed")}
    assert (ended - begun, {"submit", "claim", "end"} <= ended, len(PLACES)) == (set(), True, 3)
