"""Executions of the run engine with faults: nothing lost, doubled, wrong or stuck.

A few; ``tox run -e faults`` carries out hundreds, and fails when one of the points is never passed.
"""

from __future__ import annotations

from tests.faults.checker import Checker, campaign

FAST = range(25)


def test_a_few_executions(checker: Checker) -> None:
    """Each with a fault or two at some crash point; ``python -m tests.faults --seed N`` repeats
    one."""
    assert campaign(checker, FAST).failing == {}


def test_the_same_seed_again(checker: Checker) -> None:
    """One execution can be repeated: the same actors pass the same points."""
    first, again = (checker.execute(7).plan.visits for _ in range(2))
    assert first == again
