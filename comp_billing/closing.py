"""A deleted account at Stripe: its subscriptions end with a last invoice, then its name goes.

Both are intents of the transaction that closes the account, and wait until nothing can be lost by
them. The customer stays, and with it the invoices.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Concat
from django.utils import timezone

from comp_billing import customers, intents, mirror, settled, shapes, stripe_api
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import (
    LIVE_STATUSES,
    Customer,
    Intent,
    IntentState,
    Invoice,
    Subscription,
)
from comp_billing.stripe_api import Answer
from comp_users.models import Profile

BATCH = 200
CANCEL = "subscription.cancel"
FORGET = "customer.forget"
# A last invoice that never leaves its draft does not keep the name for ever.
LONGEST = timedelta(days=7)
# Empty is Stripe's word for removing a value.
NOBODY = dict.fromkeys(("address", "description", "email", "name", "phone", "shipping"), "")


def on_account_closing(profile: Profile) -> None:
    """A step of closing an account, in its transaction: what is personal in our own calls goes,
    and the end of everything at Stripe is asked for."""
    asked = Intent.objects.filter(subject=customers.subject_of(profile.user_id))
    asked.filter(state=IntentState.PENDING, first_sent_at=None).delete()
    for intent in asked:
        # One that is on its way looks for what it has made, and makes nothing any more.
        kept = {key: intent.params[key] for key in intent.params if key not in customers.PERSONAL}
        Intent.objects.filter(pk=intent.pk).update(params=kept)
    customer = customers.customer_of(profile.user_id)
    if customer is not None and intents.can_intend():
        end(customer)


def end(customer: Customer) -> None:
    """Ask for the end of the customer's subscriptions, and then of its name, each once."""
    for subscription in Subscription.objects.filter(customer=customer, status__in=LIVE_STATUSES):
        params = {"subscription": subscription.pk, "customer": customer.pk}
        intents.intend_new(CANCEL, f"{CANCEL}:{subscription.pk}", params)
    intents.intend_new(FORGET, f"{FORGET}:{customer.pk}", {"customer": customer.pk})


def end_closed(*, limit: int = BATCH) -> int:
    """For the maintenance loop: customers and subscriptions of deleted accounts that were being
    made when the account was deleted. Answers how many customers had something left."""
    if not stripe_api.is_configured():
        return 0
    live = Subscription.objects.filter(
        ~_asked(CANCEL), customer=OuterRef("stripe_id"), status__in=LIVE_STATUSES
    )
    closed = Customer.objects.filter(user__profile__closed_at__isnull=False)
    left = list(closed.filter(~_asked(FORGET) | Exists(live))[:limit])
    for customer in left:
        end(customer)
    return len(left)


def _asked(kind: str) -> Exists:
    subject = Concat(Value(f"{kind}:"), OuterRef("stripe_id"))
    return Exists(Intent.objects.filter(subject=subject))


def _is_counted(intent: Intent) -> bool:
    return settled.is_all_counted(intent.params["customer"])


def _cancel(intent: Intent) -> Answer:
    return cancel(intent.params["subscription"], idempotency_key=intent.idempotency_key)


def cancel(subscription_id: str, *, idempotency_key: str) -> Answer:
    """End a subscription with a last invoice for what was used; one that has ended is answered as
    it is. Makes calls."""
    path = stripe_api.object_path("subscriptions", subscription_id)
    params = {"invoice_now": True, "prorate": False}
    try:
        return stripe_api.call("delete", path, params, idempotency_key=idempotency_key)
    except StripeRefused as exc:
        # A subscription that has ended is missing to a second cancellation, and can still be read.
        found = stripe_api.retrieve(path) if exc.code == "resource_missing" else None
        if found is None:
            raise
        return found


def _find_cancelled(intent: Intent) -> Answer | None:
    path = stripe_api.object_path("subscriptions", intent.params["subscription"])
    found = stripe_api.retrieve(path)
    return found if found and Subscription.is_final(found.data) else None


def _expect_invoice(intent: Intent, data: dict[str, Any]) -> None:
    """The last invoice has to be known before the customer's name is removed."""
    if last := shapes.ref(data.get("latest_invoice")):
        mirror.fetch_later(Invoice, [last])


def _doubt_subscription(intent: Intent, error: StripeRefused) -> None:
    if error.code == "resource_missing":
        mirror.fetch_later(Subscription, [intent.params["subscription"]])


def _is_invoiced(intent: Intent) -> bool:
    """Whether nothing more is to be invoiced under the customer's name."""
    subscriptions = Subscription.objects.filter(customer=intent.params["customer"])
    if subscriptions.filter(status__in=LIVE_STATUSES).exists():
        return False
    if intent.created < timezone.now() - LONGEST:
        return True
    last = [shapes.ref(one.data.get("latest_invoice")) for one in subscriptions]
    unfinished = Invoice.all_objects.filter(status__in=("", "draft"), deleted=False)
    return not unfinished.filter(pk__in=[key for key in last if key]).exists()


def _forget(intent: Intent) -> Answer:
    path = stripe_api.object_path("customers", intent.params["customer"])
    try:
        return intents.post(path, intent, dict(NOBODY))
    except StripeRefused as exc:
        if exc.code != "resource_missing":
            raise
        # Deleted at Stripe, name and all: what it says of it then is its tombstone.
        return stripe_api.call("get", path)


intents.KINDS |= {
    CANCEL: Kind(
        send=_cancel,
        find=_find_cancelled,
        settle=_expect_invoice,
        refused=_doubt_subscription,
        ready=_is_counted,
    ),
    FORGET: Kind(send=_forget, ready=_is_invoiced),
}
