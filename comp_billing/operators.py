"""E-mails to the people who run the site: what happened at Stripe that needs a person.

They go to ``MANAGERS``, by stored handlers, at least once. A host overrides the templates
``comp_billing/email/operators/<name>_subject.txt`` and ``<name>.txt``.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.mail import mail_managers
from django.template.loader import render_to_string

from comp_billing import shapes
from comp_billing.catalog import fits
from comp_billing.conf import conf
from comp_billing.handlers import on
from comp_billing.models import Event, Invoice, Meter, Plan, Product, StripeObject
from comp_billing.money import format_amount
from comp_billing.pricing import get_pricing
from comp_users.models import Project

logger = logging.getLogger(__name__)

DASHBOARD = "https://dashboard.stripe.com"


def tell_operators(name: str, context: dict[str, Any]) -> bool:
    """Render and send one e-mail; False when the site's settings name nobody to send it to."""
    prefix, values = f"comp_billing/email/operators/{name}", {**context, "site_url": conf.SITE_URL}
    # A line break in a subject would be refused, rightly.
    subject = " ".join(render_to_string(f"{prefix}_subject.txt", values).split())
    if not settings.MANAGERS:
        logger.warning("Nobody is told, because MANAGERS is empty: %s", subject)
        return False
    mail_managers(subject, render_to_string(f"{prefix}.txt", values))
    return True


@on("charge.dispute.created", "charge.dispute.closed", stored=True)
def tell_of_dispute(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """A card's holder denies a payment: there is a day by which to answer, and later an outcome."""
    dispute = event.object_data
    evidence = shapes.mapping(dispute.get("evidence_details"))
    context = {
        **_money_context(dispute, event, "disputes"),
        "reason": shapes.text(dispute.get("reason")),
        "status": shapes.text(dispute.get("status")),
        "due_by": shapes.moment(evidence.get("due_by")),
    }
    is_new = event.type.endswith(".created")
    tell_operators("dispute_created" if is_new else "dispute_closed", context)


@on("refund.failed", stored=True)
def tell_of_failed_refund(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """Money that was to be given back has come back instead."""
    reason = shapes.text(event.object_data.get("failure_reason"))
    context = _money_context(event.object_data, event, "refunds")
    tell_operators("refund_failed", {**context, "reason": reason})


@on("invoice.finalization_failed", stored=True, model=Invoice)
def tell_of_unfinished_invoice(event: Event, obj: Invoice | None, previous: dict[str, Any]) -> None:
    """An invoice stays a draft, so nobody is asked for its money; not when it is no draft now."""
    if obj is not None and (obj.deleted or obj.status not in ("", "draft")):
        return
    invoice = event.object_data
    error = shapes.mapping(invoice.get("last_finalization_error"))
    context = {
        "id": event.object_data.get("id"),
        "amount": format_amount(shapes.integer(invoice.get("total")), _currency(invoice)),
        "customer": shapes.customer_of(invoice) or "",
        "code": shapes.text(error.get("code")),
        "reason": shapes.text(error.get("message")),
        "url": dashboard_url(event, "invoices"),
    }
    tell_operators("finalization_failed", context)


ARCHIVING = (
    "billing.meter.deactivated",
    "price.deleted",
    "price.updated",
    "product.deleted",
    "product.updated",
)


@on(*ARCHIVING, stored=True)
def tell_of_archived(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """A public project is sold through something that was archived or deleted at Stripe."""
    was_switched_off = event.object_data.get("active") is False and previous.get("active") is True
    if not (was_switched_off or event.type.endswith((".deleted", ".deactivated"))):
        return
    if obj is None or _is_in_use_again(obj, event):
        return
    project = _sold_through(obj)
    if project is None or not project.is_public:
        return
    context = {
        "id": obj.pk,
        "kind": obj.kind,
        "project": project,
        "deleted": obj.deleted,
        "url": dashboard_url(event, {"billing.meter": "meters"}.get(obj.kind, f"{obj.kind}s")),
    }
    tell_operators("archived", context)


def dashboard_url(event: Event, path: str) -> str:
    """The page of an event's object in Stripe's dashboard."""
    mode = "" if event.livemode else "test/"
    return f"{DASHBOARD}/{mode}{path}/{shapes.ref(event.object_data.get('id')) or ''}"


def _money_context(data: dict[str, Any], event: Event, path: str) -> dict[str, Any]:
    return {
        "id": shapes.text(data.get("id")),
        "amount": format_amount(shapes.integer(data.get("amount")), _currency(data)),
        "charge": shapes.ref(data.get("charge")) or "",
        "url": dashboard_url(event, path),
    }


def _currency(data: dict[str, Any]) -> str:
    return shapes.text(data.get("currency"))


def _is_in_use_again(obj: StripeObject, event: Event) -> bool:
    """Whether a row that is as new as the event says so: the worker may come late."""
    if obj.deleted or obj.as_of is None or obj.as_of < int(event.created.timestamp()):
        return False
    return obj.status == "active" if isinstance(obj, Meter) else bool(getattr(obj, "active", False))


def _sold_through(obj: StripeObject) -> Project | None:
    """The project that is sold through an object; None when it was out of use for us anyway."""
    if isinstance(obj, Product):
        return obj.project or _marked(obj)
    if isinstance(obj, Meter):
        return obj.project
    if not isinstance(obj, Plan) or obj.meter is None or obj.meter.project is None:
        return None
    project = obj.meter.project
    return project if fits(obj, get_pricing(), server_cost=project.server_cost) else None


def _marked(product: Product) -> Project | None:
    """The project in a product's metadata: a deleted product has given its link up."""
    metadata = shapes.mapping(product.data.get("metadata"))
    key = shapes.text(metadata.get("comp_project"))
    if metadata.get("comp_install") != conf.METER_PREFIX or not key.isdecimal():
        return None
    return Project.objects.filter(pk=key, product=None).first()
