"""The admin of comp_billing: everything can be looked at, nothing edited."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from comp_billing import mirror, webhooks
from comp_billing.models import Event, Intent

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = sorted(
    model._meta.model_name or ""
    for model in admin.site._registry
    if model._meta.app_label == "comp_billing"
)
OBJECTS: dict[str, dict[str, Any]] = {
    "product": {"id": "prod_1", "object": "product", "name": "<i>Epidemic</i>"},
    "meter": {"id": "mtr_1", "object": "billing.meter", "event_name": "comp_1"},
    "plan": {"id": "price_1", "object": "price", "product": "prod_1"},
    "customer": {"id": "cus_1", "object": "customer", "email": "ada@example.org"},
    "creditgrant": {"id": "credgr_1", "object": "billing.credit_grant", "customer": "cus_1"},
    "charge": {"id": "ch_1", "object": "charge", "amount": 5, "currency": "usd"},
    "subscription": {
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "items": {"data": [{"id": "si_1", "price": "price_1"}], "has_more": False},
    },
    "invoice": {"id": "in_1", "object": "invoice", "customer": "cus_1", "total": 5, "currency": ""},
    "invoicepayment": {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1"},
}
PAGES = sorted({*((name, obj["id"]) for name, obj in OBJECTS.items()), ("event", "evt_1")})


@pytest.fixture(autouse=True)
def filled() -> None:
    """One row of each kind, and an event."""
    mirror.upsert(OBJECTS.values(), as_of=1000, rank=2, api_version="x")
    payload = {"id": "evt_1", "object": "event", "created": 1001, "type": "customer.updated"}
    payload |= {"data": {"object": OBJECTS["customer"]}}
    webhooks.ingest(webhooks.event_of(payload))


@pytest.fixture
def operator() -> Client:
    """Logged in as a superuser."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.org"))
    return client


def staff(*codenames: str) -> Client:
    user = get_user_model().objects.create_user("staff", "staff@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens_searches_and_filters(operator: Client, model: str) -> None:
    """And offers nothing to add."""
    url = reverse(f"admin:comp_billing_{model}_changelist")
    found = operator.get(url, {"q": "1"})
    added = operator.get(reverse(f"admin:comp_billing_{model}_add"))
    offered = found.context["has_add_permission"]
    assert (found.status_code, offered, added.status_code) == (200, False, 403)


@pytest.mark.parametrize(("model", "key"), PAGES)
def test_every_row_opens_and_cannot_be_changed_or_deleted(
    operator: Client, model: str, key: str
) -> None:
    """Not even by a superuser; what Stripe said is shown escaped."""
    page = operator.get(reverse(f"admin:comp_billing_{model}_change", args=[key]))
    posted = operator.post(reverse(f"admin:comp_billing_{model}_change", args=[key]), {})
    deleted = operator.post(
        reverse(f"admin:comp_billing_{model}_delete", args=[key]), {"post": "yes"}
    )
    assert (page.status_code, posted.status_code, deleted.status_code) == (200, 403, 403)
    assert (b'name="_save"' in page.content, b"<i>Epidemic" in page.content) == (False, False)


@pytest.mark.parametrize(
    ("presence", "shown"),
    [("", ["cus_1"]), ("deleted", ["cus_2"]), ("awaited", ["cus_3"]), ("all", 3)],
)
def test_lists_show_what_exists_unless_asked_for_the_rest(
    operator: Client, presence: str, shown: Any
) -> None:
    """Tombstones and placeholders have their own filters."""
    gone = {"id": "cus_2", "object": "customer", "deleted": True}
    child = {"id": "ch_2", "object": "charge", "customer": "cus_3"}
    mirror.upsert([gone, child], as_of=1000, rank=2, api_version="x")
    page = operator.get(
        reverse("admin:comp_billing_customer_changelist"),
        {"presence": presence} if presence else {},
    )
    keys = [row.pk for row in page.context["cl"].result_list]
    assert (keys if presence != "all" else len(keys)) == shown


def again(client: Client) -> int:
    """Choose the action on the event's list; answers how many events are due after it."""
    client.post(
        reverse("admin:comp_billing_event_changelist"),
        {"action": "make_due", "_selected_action": ["evt_1"]},
    )
    return Event.objects.filter(state="pending").count()


def test_an_event_is_processed_again_by_the_worker(operator: Client) -> None:
    """The action only makes it due."""
    assert again(operator) == 1


@pytest.mark.parametrize(
    ("codenames", "due"), [(["view_event"], 0), (["view_event", "change_event"], 1)]
)
def test_processing_again_needs_its_permission(codenames: list[str], due: int) -> None:
    """Staff who may look may not act."""
    assert again(staff(*codenames)) == due


def test_staff_without_permission_see_no_customer() -> None:
    """Addresses and ids are for those who need them."""
    page = staff("view_event").get(reverse("admin:comp_billing_customer_changelist"))
    assert page.status_code == 403


def test_deleted_customers_account_can_be_opened_again(operator: Client) -> None:
    """By those who may change customers; the worker does it."""
    user = get_user_model().objects.create_user("ada", "ada@example.org")
    made = Intent.objects.filter(subject=f"customer.create:user:{user.pk}")
    made.update(state="succeeded", result_id="cus_1")
    mirror.upsert([{**OBJECTS["customer"], "deleted": True}], as_of=1002, rank=3, api_version="x")
    url = reverse("admin:comp_billing_customer_changelist") + "?presence=deleted"

    operator.post(url, {"action": "reopen", "_selected_action": ["cus_1"]})

    assert [(intent.state, intent.generation) for intent in made] == [("pending", 2)]
