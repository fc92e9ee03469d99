"""Random histories of an account, told in every bad way: the mirror is true at rest.

Two hundred; ``tox run -e mirror`` plays thousands, on both databases.
"""

from __future__ import annotations

import pytest
from django.db import connection

from tests.mirror.campaign import campaign

pytestmark = pytest.mark.django_db(transaction=True)
HISTORIES = {"sqlite": 200, "postgresql": 60}


def test_the_mirror_is_true_after_any_history() -> None:
    """Rows, tombstones, columns and JSON of every kind; when not, the smallest history is shown."""
    number = HISTORIES[connection.vendor]
    totals = campaign(number)
    assert (totals.line(), totals.report()) == (
        f"histories {number} / divergent 0",
        "nothing diverges",
    )
