"""What operators ask for in billing's admin: permitted, told, written down, done by the worker."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from comp_billing.models import Customer, Event, Sync
from tests.billing.admin_rig import (
    act,
    fill,
    list_url,
    logged,
    page_url,
    staff,
    superuser,
    text,
    told,
)
from tests.billing.deliveries import event
from tests.billing.examined import receive
from tests.billing.stripe_objects import customer, put

pytestmark = pytest.mark.django_db(transaction=True)

FETCH, READ = "Fetch the selected objects from Stripe", "Read the whole list from Stripe"


@pytest.fixture
def operator() -> Client:
    """A superuser, before one object of each kind."""
    fill()
    return superuser()


def reconcile(client: Client, model: str) -> Any:
    return client.post(reverse(f"admin:comp_billing_{model}_reconcile"))


def due() -> list[str]:
    """The customers that the worker is to fetch."""
    rows = Customer.all_objects.filter(fetch_at__isnull=False)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def test_rows_are_fetched_by_the_worker(operator: Client) -> None:
    """Those that Stripe has deleted stay as they are, which is said."""
    put(customer(id="cus_2", deleted=True), rank=3)
    answer = act(operator, "customer", "fetch_again", "cus_1", "cus_2")
    assert (due(), told(answer), logged()) == (
        ["cus_1"],
        [
            "The worker will fetch 1 object from Stripe within seconds; newer news stays.",
            "1 object was deleted at Stripe, or cannot be fetched: it stays as it is.",
        ],
        [("cus_1", "Asked the worker to fetch it from Stripe.")],
    )


def test_placeholders_are_fetched_at_once(operator: Client) -> None:
    """However often that was tried in vain."""
    put({"id": "ch_2", "object": "charge", "customer": "cus_3"})
    Customer.all_objects.filter(pk="cus_3").update(fetch_attempts=9)
    act(operator, "customer", "fetch_again", "cus_3")
    assert Customer.all_objects.get(pk="cus_3").fetch_attempts == 0


def test_the_button_on_a_page(operator: Client) -> None:
    """Does the same, and leads back to the page."""
    url = page_url("customer", "cus_1")
    button = "Fetch from Stripe again" in text(operator, url)
    answer = act(operator, "customer", "fetch_again", "cus_1", on_page="1")
    assert (button, answer.url, due()) == (True, url, ["cus_1"])


def test_too_many_rows(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole list costs fewer calls."""
    monkeypatch.setattr("comp_billing.admin.verbs.MOST_AT_ONCE", 1)
    put(customer(id="cus_2"))
    answer = act(operator, "customer", "fetch_again", "cus_1", "cus_2")
    words = "Choose at most 1 rows at a time. Reconcile the whole list instead."
    assert (due(), told(answer), logged()) == ([], [words], [])


@pytest.mark.parametrize(
    ("codenames", "sees", "fetched"),
    [
        (["view_customer"], (False, False, False), []),
        (["view_customer", "change_charge"], (False, False, False), []),
        (["view_customer", "change_customer"], (True, True, True), ["cus_1"]),
    ],
)
def test_fetching_needs_its_permission(
    codenames: list[str], sees: tuple[bool, ...], fetched: list[str]
) -> None:
    """Who may only look sees neither action nor buttons, and posts in vain."""
    fill()
    client = staff(*codenames)
    listed, page = text(client, list_url("customer")), text(client, page_url("customer", "cus_1"))
    act(client, "customer", "fetch_again", "cus_1")
    seen = (FETCH in listed, READ in listed, "Fetch from Stripe again" in page)
    assert (seen, due()) == (sees, fetched)


def test_a_whole_list_is_read_by_the_worker(operator: Client) -> None:
    """It is said what will happen, and written down who asked."""
    answer = reconcile(operator, "customer")
    asked = list(Sync.objects.filter(requested_at__isnull=False).values_list("pk", flat=True))
    assert (answer.url, asked, told(answer), logged()) == (
        list_url("customer"),
        ["customer"],
        [
            "The worker will read Stripe's whole list of customer objects, a hundred with each "
            "call. What is missing here is added, what is gone there is marked, newer news stays."
        ],
        [("customer", "Asked the worker to read the whole list.")],
    )


@pytest.mark.parametrize(
    ("codenames", "status"),
    [(["view_customer"], 403), ([], 403), (["view_customer", "change_customer"], 302)],
)
def test_reading_a_list_needs_its_permission(codenames: list[str], status: int) -> None:
    """It costs calls to Stripe."""
    answer = reconcile(staff(*codenames), "customer")
    assert (answer.status_code, Sync.objects.count()) == (status, int(status == 302))


def test_a_list_that_stripe_does_not_have(operator: Client) -> None:
    """Items come with their subscriptions: no button, and no such address."""
    shown = READ in text(operator, list_url("subscriptionitem"))
    assert (shown, reconcile(operator, "subscriptionitem").status_code) == (False, 404)


def test_lists_are_asked_for_by_post(operator: Client) -> None:
    """A link, or a page that is fetched ahead, asks for nothing."""
    answer = operator.get(reverse("admin:comp_billing_customer_reconcile"))
    assert (answer.status_code, Sync.objects.count()) == (405, 0)


def test_lists_are_asked_for_again(operator: Client) -> None:
    """Also in the list of lists; the lists of events are a command's business."""
    Sync.objects.create(kind="invoice", error="ended")
    Sync.objects.create(kind="event")
    page = text(operator, list_url("sync"))
    data = {"action": "read_again", "_selected_action": ["invoice", "event"]}
    answer = operator.post(list_url("sync"), data)
    asked = Sync.objects.filter(requested_at__isnull=False).values_list("pk", flat=True)
    assert ("Ended in an error" in page, list(asked), told(answer)[1:]) == (
        True,
        ["invoice"],
        ["Not read: event. Events are fetched with comp_process_events --from-stripe."],
    )


def test_events_are_processed_again(operator: Client) -> None:
    """Those that were given up; what is stored only is left alone, and told."""
    receive([event("invoice.paid", {"id": "in_1", "object": "invoice"}, id="evt_2")])
    Event.objects.filter(pk="evt_1").update(state="inert")
    Event.objects.filter(pk="evt_2").update(state="dead", attempts=12, error="KeyError in f")
    answer = act(operator, "event", "make_due", "evt_1", "evt_2")
    found = list(Event.objects.order_by("pk").values_list("state", "attempts", "error"))
    assert (found, told(answer), logged()) == (
        [("inert", 0, ""), ("pending", 0, "")],
        [
            "The worker will process 1 event again: if it was done, its e-mails and the like are"
            " sent once more.",
            "1 event is stored only, for nothing here is concerned with it: it was left alone.",
        ],
        [("evt_2", "Asked the worker to process it again.")],
    )


def test_an_event_that_is_stored_only_has_no_button(operator: Client) -> None:
    """There is nothing to do for it."""
    Event.objects.update(state="inert")
    assert "Process again" not in text(operator, page_url("event", "evt_1"))


def test_an_event_of_a_mistaken_mode_is_processed(operator: Client, settings: Any) -> None:
    """It was stored only, until the site's mode was corrected: its page has the button."""
    receive([event(id="evt_2", livemode=True)])
    before = "Process again" in text(operator, page_url("event", "evt_2"))
    settings.COMP_BILLING = {**settings.COMP_BILLING, "LIVEMODE": True}
    after = "Process again" in text(operator, page_url("event", "evt_2"))
    act(operator, "event", "make_due", "evt_2")
    assert (before, after, Event.objects.get(pk="evt_2").state, logged()) == (
        False,
        True,
        "failed",
        [("evt_2", "Asked the worker to process it again.")],
    )


def test_too_many_events(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes any number."""
    monkeypatch.setattr("comp_billing.admin.verbs.MOST_AT_ONCE", 0)
    words = "Choose at most 0 rows at a time. The command comp_process_events takes any number."
    assert told(act(operator, "event", "make_due", "evt_1")) == [words]


@pytest.mark.parametrize(
    ("codenames", "sees"), [(["view_event"], False), (["view_event", "change_event"], True)]
)
def test_processing_again_is_shown_to_whom_it_is_allowed(codenames: list[str], sees: bool) -> None:
    """In the list and on the page."""
    fill()
    client = staff(*codenames)
    listed, page = text(client, list_url("event")), text(client, page_url("event", "evt_1"))
    found = ("Process the selected events again" in listed, "Process again" in page)
    assert found == (sees, sees)
