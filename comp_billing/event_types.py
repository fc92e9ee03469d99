"""Which events this site has to be told of: what the library lives on, and what the host added."""

from __future__ import annotations

from collections.abc import Iterator

from comp_billing import mirror, stripe_api
from comp_billing.handlers import registrations
from comp_billing.rejections import REPORTS

# What the mirror and the handlers live on. plan.* repeats price.*, and invoice.payment_succeeded
# repeats invoice.paid. Written out, because Stripe takes no group.* here.
EVENTS = (
    "billing.credit_balance_transaction.created",
    "billing.credit_grant.created",
    "billing.credit_grant.updated",
    "billing.meter.created",
    "billing.meter.deactivated",
    "billing.meter.reactivated",
    "billing.meter.updated",
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.expired",
    "charge.failed",
    "charge.pending",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "charge.updated",
    "checkout.session.completed",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.overpaid",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_attempt_required",
    "invoice.payment_failed",
    "invoice.sent",
    "invoice.upcoming",
    "invoice.updated",
    "invoice.voided",
    "invoice_payment.paid",
    "payment_method.attached",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "payment_method.updated",
    "price.created",
    "price.deleted",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "setup_intent.canceled",
    "setup_intent.created",
    "setup_intent.requires_action",
    "setup_intent.setup_failed",
    "setup_intent.succeeded",
)
# What only thin events tell: usage that was not counted, and changes of a part of an object.
THIN_EVENTS = (
    *REPORTS,
    "v1.customer.subscription.active",
    "v1.customer.subscription.item_added",
    "v1.customer.subscription.item_price_changed",
    "v1.customer.subscription.item_removed",
    "v1.customer.subscription.past_due",
    "v1.customer.subscription.unpaid",
    "v1.invoice_payment.canceled",
    "v1.invoice_payment.open",
    "v1.invoice_payment.paid",
    "v1.price.activated",
    "v1.price.deactivated",
)


def wanted_events() -> list[str]:
    """What a webhook endpoint of this site has to be told: what the library lives on, what the
    site's own handlers are for, and everything about further kinds that it mirrors."""
    return sorted({*EVENTS, *(name for name in _named_by_host() if not is_thin(name))})


def wanted_thin_events() -> list[str]:
    """The same for the destination of thin events."""
    return sorted({*THIN_EVENTS, *filter(is_thin, _named_by_host())})


def is_thin(event_type: str) -> bool:
    """Whether events of a type are only ever delivered without their object."""
    return event_type.startswith(("v1.", "v2."))


def missing(wanted: list[str], enabled: list[str]) -> list[str]:
    """What of the wanted an endpoint with these enabled events is not told."""
    return [] if "*" in enabled else [name for name in wanted if name not in enabled]


def _named_by_host() -> Iterator[str]:
    beginnings = tuple(f"{kind}." for kind in mirror.KINDS if not _is_built_in(kind))
    for known in stripe_api.event_types():
        if known.startswith(beginnings) or any(one.matches(known) for one in registrations()):
            yield known
    # Also those that are newer than the SDK.
    yield from (one.name for one in registrations() if not one.is_prefix)


def _is_built_in(kind: str) -> bool:
    return mirror.KINDS[kind].__module__.startswith("comp_billing.")
