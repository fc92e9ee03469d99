"""Patience with a database that is busy or away for a moment; what happens after a commit."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import OperationalError, transaction

from comp_core.db import after_commit, patient


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


@pytest.mark.django_db(transaction=True)
def test_a_failure_after_the_commit(caplog: pytest.LogCaptureFixture) -> None:
    """What is committed has happened: its caller does not hear of it, the log does."""

    def fail(reason: str) -> None:
        raise LookupError(reason)

    with transaction.atomic():
        after_commit(fail, "away")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.django_db(transaction=True)
def test_after_a_rollback() -> None:
    """Nothing is called for a transaction that is rolled back."""
    called: list[str] = []
    with suppress(LookupError), transaction.atomic():
        after_commit(called.append, "never")
        raise LookupError
    assert called == []
