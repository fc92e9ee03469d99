"""Whatever is sent to the webhooks, by anybody: never an error of ours, never a row for nothing."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from django.db import connection

from tests.hostile_webhooks.attempts import at_random, catalogue
from tests.hostile_webhooks.wsgi import rows, try_all

pytestmark = pytest.mark.django_db(transaction=True)
REQUESTS = int(os.environ.get("COMP_HOSTILE_REQUESTS", "3000"))


@pytest.fixture(autouse=True)
def _one_host(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
    # Connecting and writing to the disk, thousands of times, are not what is looked at.
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit TO off")
    yield
    connection.close()


def test_what_stripe_has_not_sent_is_refused_and_stores_nothing() -> None:
    """Forged, malformed, oversized, deep, out of date: all refused, and not a row."""
    before = rows()
    random = itertools.islice(at_random(Random(1)), REQUESTS)
    attempts = [*catalogue(), *random]

    tally = try_all(one for one in attempts if not one.is_stripes)

    new = rows() - before
    sys.stdout.write(tally.line("not Stripe's", rows=new) + "\n")
    assert (tally.wrong, tally.faults, new) == ([], 0, 0)


@pytest.mark.slow
def test_what_is_rightly_signed_is_stored_or_refused() -> None:
    """Whatever it holds; refused is what has no id, type or date."""
    random = itertools.islice(at_random(Random(2)), REQUESTS)
    attempts = [*catalogue(), *random]

    tally = try_all(one for one in attempts if one.is_stripes)

    sys.stdout.write(tally.line("signed", rows=rows()) + f" {tally.answers}\n")
    assert (tally.wrong, tally.faults, tally.answers[200] > tally.tried / 2) == ([], 0, True)
