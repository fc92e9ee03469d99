"""The checker on the database of the test run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.billing_faults.checker import Checker, checking
from tests.core.live import Live, live

__all__ = ["live"]


@pytest.fixture
def checker(live: Live, settings: object) -> Iterator[Checker]:
    """Actors have connections of their own, so SQLite's database moves to a file."""
    with checking() as made:
        yield made
