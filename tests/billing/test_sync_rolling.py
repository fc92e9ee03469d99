"""A site's processes are replaced one after the other: some run code from before the migration."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from comp_billing.mirror import KINDS
from comp_billing.mirror.sql import insert_statement
from comp_billing.models import Customer, Event

pytestmark = pytest.mark.django_db

CUSTOMER = """
INSERT INTO comp_billing_customer
 (stripe_id, data, livemode, api_version, rank, deleted, email, default_payment_method)
VALUES ('cus_1', '{}', %s, '', 0, %s, '', '')
"""
EVENT = """
INSERT INTO comp_billing_event
 (stripe_id, type, api_version, account, livemode, is_thin, created, received_at, payload,
  request_id, idempotency_key, state, attempts, error)
VALUES ('evt_1', 'x.y', '', '', %s, %s, %s, %s, '{}', '', '', 'pending', 0, '')
"""


def test_proxies_are_inserted_without_the_newer_columns() -> None:
    """The database has their defaults."""
    with connection.cursor() as cursor:
        cursor.execute(CUSTOMER, [False, False])
    assert Customer.all_objects.values_list("fetch_attempts", "fetch_at").get() == (0, None)


def test_events_are_inserted_without_the_newer_columns() -> None:
    """No handler of theirs is done."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(EVENT, [False, False, now, now])
    assert Event.objects.values_list("handled", flat=True).get() == []


def test_statements_write_the_defaults_as_values() -> None:
    """Not as the expressions that a default of the database is."""
    defaults = {
        kind: insert_statement(model, "default").defaults["fetch_attempts"]
        for kind, model in KINDS.items()
    }
    assert defaults == dict.fromkeys(KINDS, 0)
