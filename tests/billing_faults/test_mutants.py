"""A checker that finds nothing proves nothing: one mistake at a time, each must be found."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.billing_faults.checker import Checker
from tests.billing_faults.mutants import MUTANTS
from tests.faults.mutants import Mutant, found_in

# Executions until a mistake must have been found.
PATIENCE = 150
QUICK = {"floats", "a random identifier"}
# What these mistakes do is Stripe's business: one database is enough for the slow ones.
SLOW = [
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="found on SQLite already"),
]


def parameters() -> list[Any]:
    """The mutants; those that take more than a moment to be found are slow."""
    return [
        pytest.param(one, id=one.name, marks=[] if one.name in QUICK else SLOW) for one in MUTANTS
    ]


@pytest.mark.parametrize("mutant", parameters())
def test_a_mistake_is_found(checker: Checker, mutant: Mutant) -> None:
    """For what it is: lost, doubled, wrong or stuck."""
    assert found_in(checker, mutant, PATIENCE) & mutant.kinds
