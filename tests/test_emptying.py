"""What a test leaves behind when it has committed: nothing, as after a flush."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from comp_billing import mirror
from comp_billing.mirror import known
from comp_billing.models import Customer
from comp_users.models import Project
from tests.billing.stripe_objects import customer, item, put, subscription
from tests.emptying import empty

pytestmark = pytest.mark.django_db(transaction=True)


def filled() -> dict[str, int]:
    """{table: rows} of the tables that have any."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with connection.cursor() as cursor:
        found = {}
        for name in names:
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(name)}")  # noqa: S608
            found[name] = cursor.fetchone()[0]
    return {name: count for name, count in found.items() if count}


def fill(django_user_model: Any) -> None:
    """Rows that refer to each other."""
    user = django_user_model.objects.create_user("ada", "ada@example.org", "pw")
    put(customer(), subscription(items={"data": [item(1)], "has_more": False}))
    Customer.objects.update(user=user)


def test_it_is_as_empty_as_after_a_flush(django_user_model: Any) -> None:
    """The same tables have the same number of rows."""
    fill(django_user_model)
    call_command("flush", verbosity=0, interactive=False)
    flushed = filled()
    fill(django_user_model)
    before = filled()
    empty("default")
    assert (filled(), before != flushed) == (flushed, True)


def test_what_was_known_of_its_rows_is_forgotten() -> None:
    """Or the next test would take its own parents for known."""
    mirror.ensure(Customer, ["cus_1"])
    before = known.unknown(Customer, ["cus_1"], among=known.tables("default"))
    empty("default")
    after = known.unknown(Customer, ["cus_1"], among=known.tables("default"))
    assert (before, after, Project.objects.exists()) == (set(), {"cus_1"}, True)
