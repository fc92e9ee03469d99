"""The guarded upsert: order, placeholders, tombstones, children, what cannot be stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from comp_billing import mirror
from comp_billing.mirror.sql import _named
from comp_billing.models import (
    Customer,
    Plan,
    Product,
    SubscriptionItem,
)
from tests.billing.stripe_objects import VERSION, customer, item, put, subscription

pytestmark = pytest.mark.django_db(transaction=True)


def emails() -> list[tuple[str, int | None, int]]:
    return list(Customer.all_objects.values_list("email", "as_of", "rank"))


def test_an_object_becomes_a_row_with_its_data_and_columns() -> None:
    """Everything received is in ``data``; what is filtered on has a column."""
    written = put(customer())
    row = Customer.objects.get()
    assert (written, row.data, row.email, row.api_version, row.as_of, row.rank) == (
        {"cus_1"},
        customer(),
        "a@b.c",
        VERSION,
        1000,
        2,
    )


@pytest.mark.parametrize(
    ("as_of", "rank", "expected"),
    [
        (999, 3, ("old", 1000, 2)),
        (1000, 1, ("old", 1000, 2)),
        (1000, 2, ("new", 1000, 2)),
        (1000, 3, ("new", 1000, 3)),
        (1001, 0, ("new", 1001, 0)),
    ],
)
def test_older_news_never_overwrites_newer(
    as_of: int, rank: int, expected: tuple[str, int, int]
) -> None:
    """The second and then the rank decide; of two equals the later arrival stays."""
    put(customer(email="old"))
    put(customer(email="new"), as_of=as_of, rank=rank)
    assert emails() == [expected]


def test_a_parent_named_before_it_arrives_is_a_placeholder_left_out_of_lists() -> None:
    """Then it arrives, however old the news, and fills its place."""
    put({"id": "in_1", "object": "invoice", "customer": "cus_1"})
    before = (Customer.objects.count(), Customer.all_objects.get().is_placeholder)
    put(customer(), as_of=5, rank=0)
    assert (before, emails()) == ((0, True), [("a@b.c", 5, 0)])


def test_a_tombstone_keeps_the_last_data_and_is_never_resurrected() -> None:
    """Not by late news, and not by news dated after the deletion."""
    put(customer())
    put({"id": "cus_1", "object": "customer", "deleted": True}, as_of=1001)
    put(customer(email="late"), as_of=1001, rank=2)
    put(customer(email="later"), as_of=2000)
    row = Customer.all_objects.get()
    assert (row.deleted, row.data, row.email, row.rank, Customer.objects.count()) == (
        True,
        customer(),
        "a@b.c",
        3,
        0,
    )


def test_a_tombstone_may_be_the_first_that_is_heard_of_an_object() -> None:
    """What was said before it, but arrives after it, changes nothing."""
    put({"id": "cus_1", "object": "customer", "deleted": True})
    put(customer(), as_of=999)
    assert list(Customer.all_objects.values_list("deleted", "email")) == [(True, "")]


def test_a_deleted_customer_gives_its_user_up(django_user_model: Any) -> None:
    """So that a successor can be the user's customer."""
    put(customer())
    user = django_user_model.objects.create_user("ada", "ada@example.org")
    Customer.objects.update(user=user)
    put({"id": "cus_1", "object": "customer", "deleted": True}, as_of=1001)
    assert Customer.all_objects.get().user is None


def test_the_user_of_a_customer_survives_news_from_stripe(django_user_model: Any) -> None:
    """The link is ours, not Stripe's."""
    put(customer())
    user = django_user_model.objects.create_user("ada", "ada@example.org")
    Customer.objects.update(user=user)
    put(customer(email="new"), as_of=1001)
    assert Customer.objects.get().user == user


def test_what_a_database_cannot_hold_is_replaced() -> None:
    """NUL, lone surrogates, infinities, too much text, too large numbers."""
    put(
        {
            "id": "price_1",
            "object": "price",
            "product": "p" * 300,
            "currency": "usdollar",
            "nickname": "a\x00b\ud800c",
            "emoji": "\U0001f600",
            "factor": float("inf"),
            "recurring": {"interval_count": 10**30, "interval": "month"},
            "unit_amount_decimal": "1E+40",
        }
    )
    plan = Plan.objects.get()
    assert (
        plan.data["nickname"],
        plan.data["emoji"],
        plan.data["factor"],
        plan.product_id,
        plan.currency,
        plan.interval_count,
        plan.amount_decimal,
    ) == ("a\ufffdb\ufffdc", "\U0001f600", None, None, "usd", None, None)


@pytest.mark.parametrize(("count", "kept"), [(-1, None), (0, 0), (32767, 32767), (32768, None)])
def test_a_number_beyond_its_column_is_none(count: int, kept: int | None) -> None:
    """At both ends; the data keeps it."""
    put({"id": "price_1", "object": "price", "recurring": {"interval_count": count}})
    plan = Plan.objects.get()
    assert (plan.interval_count, plan.data["recurring"]["interval_count"]) == (kept, count)


def test_objects_without_id_or_of_other_kinds_are_passed_over() -> None:
    """They are stored with their event, not as proxies."""
    assert put({"object": "invoice"}, {"id": "x", "object": "unheard_of"}, {"id": "cus_9"}) == set()


def test_two_versions_of_one_object_in_one_call_leave_the_last() -> None:
    """PostgreSQL refuses to touch a row twice in one statement."""
    put(customer(email="first"), customer(email="last"))
    assert emails() == [("last", 1000, 2)]


def test_many_objects_are_few_statements() -> None:
    """A page of a list is written in batches."""
    page = [{"id": f"prod_{n}", "object": "product", "name": str(n)} for n in range(100)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        put(*page)
    inserts = [q for q in queries.captured_queries if q["sql"].startswith("INSERT")]
    assert (len(inserts) <= 2, Product.objects.count()) == (True, 100)


def test_known_parents_cost_no_statement() -> None:
    """A subscription whose customer and plans are known: two upserts, one of which removes."""
    put(subscription(item(1), item(2)))
    with CaptureQueriesContext(connection) as queries:
        put(subscription(item(1)), as_of=1001)
    verbs = [q["sql"].split()[0] for q in queries.captured_queries]
    assert (
        [verb for verb in verbs if verb in ("INSERT", "UPDATE", "SELECT")],
        SubscriptionItem.objects.count(),
    ) == (["INSERT", "INSERT"], 1)


def test_a_list_that_says_nothing_new_writes_no_row() -> None:
    """Neither the object nor what is embedded in it; an event all the same, for its date."""
    put(subscription(item(1)), customer())
    assert (
        put(subscription(item(1)), customer(), as_of=1001, rank=0, quiet=True),
        put(customer(), as_of=1001, rank=0, quiet=False),
    ) == (set(), {"cus_1"})


def test_what_stripe_does_not_know_is_gone_until_there_is_news_of_it(
    django_user_model: Any,
) -> None:
    """The key may be of another account: nothing is given up, and later news brings it back."""
    put(customer())
    user = django_user_model.objects.create_user("ada", "ada@example.org")
    Customer.objects.update(user=user)
    mirror.missing(Customer, ["cus_1"], as_of=1001, api_version=VERSION)
    gone = Customer.all_objects.values_list("deleted", "email", "user").get()
    put(customer(), as_of=1002, rank=0)
    assert (gone, Customer.objects.get().user) == ((True, "a@b.c", user.pk), user)


def test_an_id_that_was_chosen_may_be_taken_again() -> None:
    """By an event of its creation, later than the deletion; by nothing else."""
    product = {"id": "comp_1", "object": "product", "name": "First"}
    put(product)
    put({"id": "comp_1", "object": "product", "deleted": True}, as_of=1001, rank=3)
    put({**product, "name": "Late"}, as_of=1001, rank=1)
    put({**product, "name": "Listed"}, as_of=1003, rank=0)
    before = Product.all_objects.get().deleted
    put({**product, "name": "Second"}, as_of=1002, rank=1)
    row = Product.objects.get()
    assert (before, row.name, row.deleted) == (True, "Second", False)


def test_what_stripe_does_not_know_any_more_stays_deleted_if_stripe_has_said_so() -> None:
    """The weaker word, coming later, does not open the way back."""
    put({"id": "cus_1", "object": "customer", "deleted": True}, as_of=1000, rank=3)
    mirror.missing(Customer, ["cus_1"], as_of=1005, api_version=VERSION)
    put(customer(), as_of=1010)
    row = Customer.all_objects.get()
    assert (row.deleted, row.rank, row.as_of) == (True, 3, 1000)


def test_a_sign_of_per_cent_in_a_statement_is_no_parameter() -> None:
    """As in the name of a host's kind."""
    text = _named("a = %s AND kind = '100%%slow' AND b = %s")
    assert text % {"p0": ":p0", "p1": ":p1"} == "a = :p0 AND kind = '100%slow' AND b = :p1"
