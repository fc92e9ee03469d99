"""What billing's admin pages show: links both ways, the state in words, and nothing secret."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.utils import unquote
from django.test import Client
from django.utils.html import escape

from comp_billing.admin import columns
from comp_billing.models import Charge, Customer, Event, SubscriptionItem
from tests.billing.admin_rig import fill, keys, list_url, page_url, staff, superuser, text
from tests.billing.deliveries import event
from tests.billing.examined import receive
from tests.billing.stripe_objects import customer, put, subscription

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator() -> Client:
    """A superuser, before one object of each kind."""
    fill()
    return superuser()


def linked(client: Client, model: str, key: str) -> set[str]:
    """The rows of billing that a page leads to."""
    page = text(client, page_url(model, key))
    found = re.findall(r'href="/admin/comp_billing/\w+/(\w+)/change/"', page)
    return {unquote(each) for each in found}


@pytest.mark.parametrize(
    ("model", "key", "leads_to"),
    [
        ("customer", "cus_1", {"sub_1", "ch_1", "in_1", "evt_1"}),
        ("subscription", "sub_1", {"cus_1", "si_1", "in_1"}),
        ("subscriptionitem", "si_1", {"sub_1", "price_1"}),
        ("invoice", "in_1", {"cus_1", "sub_1", "ch_1", "inpay_1", "evt_1"}),
        ("invoicepayment", "inpay_1", {"in_1", "ch_1"}),
        ("charge", "ch_1", {"cus_1", "in_1", "inpay_1"}),
        ("product", "prod_1", {"price_1"}),
        ("meter", "mtr_1", {"price_1"}),
        ("plan", "price_1", {"prod_1", "mtr_1", "si_1"}),
        ("event", "evt_1", {"cus_1", "in_1"}),
    ],
)
def test_relations_lead_both_ways(
    operator: Client, model: str, key: str, leads_to: set[str]
) -> None:
    """From a row to what it belongs to, and to what belongs to it."""
    assert linked(operator, model, key) >= leads_to


def test_ids_that_look_like_escapes(operator: Client) -> None:
    """The admin would read "_2F" as another letter."""
    put(customer(id="cus_2Fab"), {"id": "ch_2", "object": "charge", "customer": "cus_2Fab"})
    (url,) = re.findall(r'href="([^"]+)">cus_2Fab<', text(operator, list_url("charge")))
    assert operator.get(url).status_code == 200


def test_many_related_rows(operator: Client) -> None:
    """The newest few are shown, and a list of all, those that are gone included."""
    for number in range(2, 14):
        put({"id": f"ch_{number}", "object": "charge", "customer": "cus_1"}, as_of=1000 + number)
    Charge.objects.filter(pk="ch_2").update(deleted=True)
    page = text(operator, page_url("customer", "cus_1"))
    (url,) = set(re.findall(r'href="([^"]+)">Show all', page))
    shown = [f"ch_{number}" for number in range(2, 14) if f">ch_{number}</a>" in page]
    listed = operator.get(url.replace("&amp;", "&")).context["cl"].result_count
    assert (shown, listed) == ([f"ch_{number}" for number in range(4, 14)], 13)


def test_related_rows_that_one_may_not_see() -> None:
    """A page shows no row of a kind whose list is closed to the user."""
    fill()
    page = text(staff("view_customer", "view_charge"), page_url("customer", "cus_1"))
    assert (">ch_1</a>" in page, ">in_1</a>" in page) == (True, False)


@pytest.mark.parametrize(
    ("model", "key", "path"),
    [
        ("product", "prod_1", "products/prod_1"),
        ("meter", "mtr_1", "meters/mtr_1"),
        ("plan", "price_1", "prices/price_1"),
        ("customer", "cus_1", "customers/cus_1"),
        ("subscription", "sub_1", "subscriptions/sub_1"),
        ("subscriptionitem", "si_1", "subscriptions/sub_1"),
        ("invoice", "in_1", "invoices/in_1"),
        ("invoicepayment", "inpay_1", "payments/ch_1"),
        ("charge", "ch_1", "payments/ch_1"),
        ("event", "evt_1", "events/evt_1"),
    ],
)
def test_every_kind_leads_to_the_dashboard(
    operator: Client, model: str, key: str, path: str
) -> None:
    """To its own page, or to the page that shows it."""
    page = text(operator, page_url(model, key))
    assert f'<a href="https://dashboard.stripe.com/test/{path}" rel="noreferrer">' in page


def test_live_objects_have_live_pages(operator: Client) -> None:
    """Test mode has pages of its own."""
    put(customer(id="cus_2", livemode=True))
    page = text(operator, page_url("customer", "cus_2"))
    assert 'href="https://dashboard.stripe.com/customers/cus_2"' in page


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"as_of": 1000}, ""),
        ({"as_of": None}, "Named, not received yet"),
        ({"as_of": 1000, "deleted": True, "rank": 3}, "Deleted at Stripe"),
        ({"as_of": 1000, "deleted": True, "rank": 0}, "No longer at Stripe"),
        ({"as_of": 1000, "fetch_at": datetime(2026, 11, 1, 12, tzinfo=UTC)}, "To be fetched"),
        (
            {
                "as_of": None,
                "fetch_at": datetime(2026, 11, 1, 12, tzinfo=UTC),
                "fetch_attempts": 3,
            },
            "Named, not received yet; asked for 3 times, next at 12:00:00 UTC",
        ),
        (
            {"as_of": 1, "fetch_at": datetime(2026, 11, 1, 12, tzinfo=UTC), "fetch_attempts": 1},
            "Asked for once, next at 12:00:00 UTC",
        ),
    ],
)
def test_the_state_of_a_row(values: dict[str, Any], words: str) -> None:
    """In words, where it is more or less than what Stripe last said."""
    assert columns.state_of(Customer(stripe_id="cus_1", **values)) == words


def test_lists_and_pages_tell_the_state(operator: Client) -> None:
    """Lists only what is out of the ordinary."""
    SubscriptionItem.objects.update(deleted=True)
    listed = text(operator, list_url("subscriptionitem"), presence="deleted")
    sound = text(operator, page_url("customer", "cus_1"))
    assert ("No longer at Stripe" in listed, "As Stripe last said" in sound) == (True, True)


@pytest.mark.parametrize(
    ("query", "found"),
    [("deleted", ["sub_2"]), ("awaited", ["sub_3"]), ("doubtful", ["sub_1", "sub_3"])],
)
def test_rows_that_need_a_look(operator: Client, query: str, found: list[str]) -> None:
    """Each has a filter of its own."""
    put({**subscription(), "id": "sub_2", "deleted": True}, rank=3)
    put({"id": "in_9", "object": "invoice", "subscription": "sub_3"})
    operator.post(list_url("subscription"), {"action": "fetch_again", "_selected_action": "sub_1"})
    assert sorted(keys(operator, "subscription", presence=query)) == found


@pytest.mark.parametrize(
    ("model", "term", "found"),
    [
        ("customer", "cus_1", ["cus_1"]),
        ("customer", "a@b", ["cus_1"]),
        ("customer", "cus_9", []),
        ("invoice", "cus_1", ["in_1"]),
        ("invoice", " sub_1 ", ["in_1"]),
        ("invoice", "a@b.c", ["in_1"]),
        ("charge", "cus_1", ["ch_1"]),
        ("invoicepayment", "in_1", ["inpay_1"]),
        ("subscriptionitem", "price_1", ["si_1"]),
        ("plan", "mtr_1", ["price_1"]),
        ("meter", "comp_1", ["mtr_1"]),
        ("event", "in_1", ["evt_1"]),
        ("event", "invoice.se", ["evt_1"]),
        ("event", "sent", []),
        ("usagerecord", "cus_1", []),
        ("usagerecord", "3fa85f64-5717-4562-b3fc-2c963f66afa6", []),
        ("reservation", "ada", []),
    ],
)
def test_what_is_found(operator: Client, model: str, term: str, found: list[str]) -> None:
    """By an id of the row or of what it belongs to, and by what people know."""
    assert keys(operator, model, q=term) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "dead"}, ["evt_2"]),
        ({"type": "invoice.sent"}, ["evt_1"]),
        ({"is_thin__exact": "1"}, []),
    ],
)
def test_events_are_filtered(operator: Client, query: dict[str, str], found: list[str]) -> None:
    """Those that were given up are one click away."""
    receive([event(id="evt_2")])
    Event.objects.filter(pk="evt_2").update(state="dead", error="KeyError in f, handlers.py:1")
    assert keys(operator, "event", **query) == found


def test_an_event_that_was_given_up(operator: Client) -> None:
    """What a person should look at is red, and the error says where it came from."""
    Event.objects.update(state="dead", error="KeyError in f, handlers.py:1", attempts=12)
    page = text(operator, list_url("event"))
    assert (
        '<strong class="comp-note">Given up</strong>' in page,
        "KeyError in f, handlers.py:1" in page,
    ) == (True, True)


@pytest.mark.parametrize("model", ["charge", "event"])
def test_secrets_are_not_shown(operator: Client, model: str) -> None:
    """With a client secret a payment can be confirmed."""
    held = {
        "client_secret": "pi_1_secret_hush",
        "nested": [{"signing_secret": "hush"}, "whsec_hush"],
    }
    Charge.objects.update(data=held)
    Event.objects.update(payload=held)
    page = text(operator, page_url(model, {"charge": "ch_1", "event": "evt_1"}[model]))
    assert ("hush" in page, page.count("[hidden]")) == (False, 3)


def test_what_is_received_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """And escaped, wherever it is cut."""
    monkeypatch.setattr("comp_billing.admin.columns.MOST_CHARACTERS", 20)
    shown = columns.pretty({"name": "<script>alert(1)</script>"})
    start = escape('{\n  "name": "<script')
    assert shown == f'<pre class="comp-printed">{start}\n… and 21 more characters</pre>'


def test_amounts_are_written_as_people_do(operator: Client) -> None:
    """In the list and on the page."""
    listed, page = text(operator, list_url("invoice")), text(operator, page_url("invoice", "in_1"))
    assert ("$0.05" in listed, "$0.05" in page) == (True, True)


def test_moments_beyond_all_calendars() -> None:
    """A row can hold any number."""
    assert [columns.moment_of(seconds) for seconds in (None, 10**18, 0)] == [
        "-",
        "-",
        "1970-01-01 00:00:00 UTC",
    ]
