"""Patience with a database that is busy or away for a moment."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from comp_core.db import patient


class Moody:
    """Fails so many times before it answers."""

    __name__ = "moody"

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def __call__(self) -> str:
        self.failures -= 1
        if self.failures >= 0:
            raise OperationalError("database is locked")
        return "answer"


@pytest.mark.django_db
def test_it_is_tried_again() -> None:
    """A database that comes back in time is no error."""
    assert patient(5)(Moody(2))() == "answer"


@pytest.mark.django_db
def test_patience_ends() -> None:
    """A database that stays away is an error in the end."""
    with pytest.raises(OperationalError):
        patient(0.01)(Moody(100))()
