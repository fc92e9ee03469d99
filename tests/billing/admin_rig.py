"""What the tests of billing's admin share: who looks, what there is, and what was told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from tests.billing.deliveries import event
from tests.billing.examined import receive
from tests.billing.stripe_objects import customer, put, subscription
from tests.core.builders import statements

OBJECTS: list[dict[str, Any]] = [
    {"id": "prod_1", "object": "product", "name": "Epidemic"},
    {"id": "mtr_1", "object": "billing.meter", "event_name": "comp_1", "status": "active"},
    {
        "id": "price_1",
        "object": "price",
        "product": "prod_1",
        "recurring": {"meter": "mtr_1", "usage_type": "metered", "interval": "month"},
    },
    customer(),
    {"id": "ch_1", "object": "charge", "customer": "cus_1", "amount": 5, "currency": "usd"},
    {
        "id": "credgr_1",
        "object": "billing.credit_grant",
        "customer": "cus_1",
        "amount": {"monetary": {"currency": "usd", "value": 1000}},
    },
    subscription({"id": "si_1", "price": "price_1"}),
    {
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_1",
        "subscription": "sub_1",
        "status": "paid",
        "total": 5,
        "currency": "usd",
    },
    {
        "id": "inpay_1",
        "object": "invoice_payment",
        "invoice": "in_1",
        "is_default": True,
        "status": "paid",
        "payment": {"type": "charge", "charge": "ch_1"},
    },
]


def fill() -> None:
    """One object of each kind, all of one customer's, and an event about its invoice."""
    put(*OBJECTS)
    invoice = next(one for one in OBJECTS if one["object"] == "invoice")
    receive([event("invoice.sent", invoice, created=1001)])


def superuser() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.org"))
    return client


def staff(*codenames: str) -> Client:
    """Somebody of the staff with these permissions."""
    user = get_user_model().objects.create_user("staff", "staff@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def list_url(model: str) -> str:
    return reverse(f"admin:comp_billing_{model}_changelist")


def page_url(model: str, key: str) -> str:
    return reverse(f"admin:comp_billing_{model}_change", args=[quote(key)])


def keys(client: Client, model: str, **query: str) -> list[str]:
    """The rows that a list shows."""
    page = client.get(list_url(model), query)
    return [row.pk for row in page.context["cl"].result_list]


def text(client: Client, url: str, **query: str) -> str:
    """What a page shows, without the white space between its elements."""
    return re.sub(r">\s+<", "><", client.get(url, query).content.decode())


def cost(look: Callable[[], object]) -> int:
    """How many statements a page takes, once the process knows its content types."""
    look()
    with statements() as found:
        look()
    return len(found)


def act(client: Client, model: str, action: str, *rows: str, **more: str) -> Any:
    """An action on rows of the whole list."""
    data = {"action": action, "_selected_action": rows, **more}
    return client.post(
        f"{list_url(model)}?presence=all" if model != "event" else list_url(model), data
    )


def told(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def logged() -> list[tuple[str, str]]:
    """What the admin's log says of which rows."""
    rows = LogEntry.objects.order_by("object_id")
    return [(str(row.object_id), row.get_change_message()) for row in rows]
