"""The crash points of sign-up and usage, read off the source: around whatever is committed."""

from __future__ import annotations

from collections import Counter

from tests.billing_faults.checker import registered_points
from tests.faults.crashes import calls, engine_trees

# What is committed on the way of a sign-up, and of usage, to Stripe.
COMMITTED = {
    "doubt",
    "intent_claim",
    "intent_key",
    "intent_postpone",
    "intent_refuse",
    "intent_settle",
    "plan_items",
    "plan_project",
    "usage_claim",
    "usage_postpone",
    "usage_settle",
}


def test_every_commit_has_a_point_before_and_after_it() -> None:
    """So that a process may die on either side of each."""
    places: dict[str, set[str]] = {}
    for point in registered_points():
        name, _, place = point.partition(":")
        places.setdefault(name, set()).add(place)
    around = {name for name, found in places.items() if {"begin", "committed"} <= found}
    assert around == COMMITTED
    # After each call there is one more: Stripe has acted, and nothing of it is written down.
    assert {name for name, found in places.items() if "answered" in found} == {"intent", "usage"}


def test_points_have_names_of_their_own() -> None:
    """A name that stands twice would hide that one of the two is never passed."""
    trees = engine_trees("comp_billing").values()
    names = Counter(
        name for tree in trees for kind in ("step", "crashpoint") for name in calls(tree, kind)
    )
    assert [name for name, number in names.items() if number > 1] == []
