"""Executions of the run engine with faults: nothing lost, doubled, wrong or stuck."""

from __future__ import annotations

import pytest

from tests.faults.checker import Checker, campaign
from tests.faults.crashes import registered_points

FAST = range(40)
THOROUGH = range(300)


def test_a_few_executions(checker: Checker) -> None:
    """Each with a fault or two at some crash point; ``python -m tests.faults --seed N`` repeats
    one."""
    assert campaign(checker, FAST).failing == {}


@pytest.mark.slow
def test_every_point_is_passed(checker: Checker) -> None:
    """A committed step that no execution takes would be a promise that nobody has checked."""
    totals = campaign(checker, THOROUGH)
    missed = set(registered_points()) - totals.visited
    assert (totals.failing, missed) == ({}, set())


def test_the_same_seed_again(checker: Checker) -> None:
    """One execution can be repeated: the same actors pass the same points."""
    first, again = (checker.execute(7).plan.visits for _ in range(2))
    assert first == again
