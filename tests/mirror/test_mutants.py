"""Histories that find nothing prove nothing: one mistake at a time, each must be found."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.mirror.campaign import finds
from tests.mirror.mutants import MUTANTS, Mutant, applied

pytestmark = pytest.mark.django_db(transaction=True)
# Histories until a mistake must have been found.
PATIENCE = 400
QUICK = {
    "newer wins, without ranks",
    "the later arrival wins, without ranks",
    "what is gone leaves no tombstone",
    "answers are dated by the site's clock",
    "ties are not marked",
    "the children of old news are written",
    "removed items are not marked",
}


def parameters() -> list[Any]:
    """The mutants; those that take more than a moment to be found are slow. PostgreSQL, on which
    every history takes longer, has the quick ones as slow ones."""
    is_sqlite = connection.vendor == "sqlite"
    return [
        pytest.param(one, id=one.name, marks=[] if is_quick and is_sqlite else pytest.mark.slow)
        for one in MUTANTS
        if (is_quick := one.name in QUICK) or is_sqlite
    ]


@pytest.mark.parametrize("mutant", parameters())
def test_a_mistake_is_found(mutant: Mutant) -> None:
    """By the rows at rest."""
    with applied(mutant):
        assert finds(PATIENCE)


def test_a_mutant_follows_the_code() -> None:
    """A mutant whose piece of source is gone is not quietly a mutant of nothing."""
    gone = Mutant("gone", "GUARD", "not in the statement", "")
    with pytest.raises(LookupError, match="does not stand once"), applied(gone):
        pass
