"""What Stripe tells about one user of the site, straight into the ingest."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.contrib.auth import get_user_model

from comp_billing import webhooks
from comp_billing.models import Intent
from comp_users.models import Project

ADDRESS = "operators@example.org"
# For MANAGERS; until Django 6.0 each of them was a pair.
PEOPLE = [ADDRESS] if django.VERSION >= (6,) else [("Operators", ADDRESS)]
MARK = {"comp_install": "comp"}
INVOICE: dict[str, Any] = {
    "id": "in_1",
    "object": "invoice",
    "customer": "cus_1",
    "status": "open",
    "attempt_count": 1,
    "number": "COMP-0001",
    "currency": "usd",
    "total": 1234,
    "amount_remaining": 1234,
    "amount_paid": 0,
    "hosted_invoice_url": "https://invoice.stripe.test/i/1?a=b&c=d",
    "next_payment_attempt": 1_800_000_000,
    "lines": {
        "data": [
            {"amount": 1000, "pricing": {"price_details": {"product": "prod_1"}}},
            {"amount": 234, "description": "<b>Other</b>"},
        ]
    },
}


def tell(
    event_type: str,
    obj: dict[str, Any],
    *,
    number: int = 1,
    created: int = 1000,
    previous: dict[str, Any] | None = None,
    api_version: str = "2026-10-28.endive",
) -> None:
    """Ingest an event of Stripe's about an object."""
    payload = {
        "id": f"evt_{number}",
        "object": "event",
        "api_version": api_version,
        "created": created,
        "livemode": False,
        "type": event_type,
        "data": {"object": obj, "previous_attributes": previous},
    }
    webhooks.ingest(webhooks.event_of(payload))


def user(name: str = "ada") -> Any:
    return get_user_model().objects.create_user(name, f"{name}@example.org")


def customer(user_pk: Any, number: int = 1, **metadata: str) -> dict[str, Any]:
    asked = Intent.objects.get(subject=f"customer.create:user:{user_pk}")
    ours = {**MARK, "comp_user": str(user_pk), "comp_intent": str(asked.idempotency_base)}
    marks = {**ours, **metadata}
    return {"id": f"cus_{number}", "object": "customer", "metadata": marks}


@pytest.fixture
def ada() -> Any:
    """A user with a customer and a project's product."""
    person = user()
    tell("customer.created", customer(person.pk), number=100)
    project = Project.objects.create(name="Epidemic", slug="epi")
    marks = {**MARK, "comp_project": str(project.pk)}
    tell("product.created", {"id": "prod_1", "object": "product", "metadata": marks}, number=101)
    return person
