"""A checker that finds nothing proves nothing: one mistake at a time, each must be found."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.faults.checker import Checker
from tests.faults.mutants import MUTANTS, Mutant, applied, found_in

# Executions until a mistake must have been found.
PATIENCE = 200
QUICK = {
    "finish asks for nothing",
    "the record after the commit",
    "a claim that counts no attempt",
    "an interruption that nobody notes",
    "a sweep of the whole run",
}


def parameters() -> list[Any]:
    """The mutants; those that take more than a moment to be found are slow."""
    return [
        pytest.param(one, id=one.name, marks=[] if one.name in QUICK else pytest.mark.slow)
        for one in MUTANTS
    ]


@pytest.mark.parametrize("mutant", parameters())
def test_a_mistake_is_found(checker: Checker, mutant: Mutant) -> None:
    """For what it is: lost, doubled, wrong or stuck."""
    if connection.vendor not in mutant.databases:
        pytest.skip("a database with one writer at a time cannot make this mistake")
    assert found_in(checker, mutant, PATIENCE) & mutant.kinds


def test_a_mutant_follows_the_code() -> None:
    """A mutant whose piece of source is gone is not quietly a mutant of nothing."""
    gone = Mutant("gone", MUTANTS[0].function, "not in the source", "", frozenset())
    with pytest.raises(LookupError, match="does not stand once"), applied(gone):
        pass
