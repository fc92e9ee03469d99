"""Executions of sign-up and usage with faults: nothing lost, doubled, wrong or stuck.

A few; ``tox run -e faults`` carries out hundreds, and fails when one of the points is never passed.
"""

from __future__ import annotations

from tests.billing_faults.checker import Checker, campaign

FAST = range(12)


def test_a_few_executions(checker: Checker) -> None:
    """Each with a crash or two, failures of Stripe's, and days that pass."""
    assert campaign(checker, FAST).failing == {}
