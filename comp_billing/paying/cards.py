"""The card of a customer: entered on Stripe's own page, made the default by the worker."""

from __future__ import annotations

from typing import Any

from comp_billing import intents, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.customers import customer_of
from comp_billing.exceptions import NoBillingAccount, StripeRefused
from comp_billing.handlers import on
from comp_billing.intents import Kind
from comp_billing.models import (
    LIVE_STATUSES,
    Customer,
    Event,
    Intent,
    StripeObject,
    Subscription,
)
from comp_billing.stripe_api import Answer

SET_DEFAULT = "customer.default_payment_method"
SET_OWN = "subscription.default_payment_method"
# Where an object of Stripe's names what its invoices are paid with; sources are of before 2019.
PAID_WITH = ("data__default_payment_method", "data__default_source")


def has_payment_method(customer: Customer) -> bool:
    """Whether Stripe has something to pay the customer's invoices with: the customer's own
    default, or that of a live subscription. At most one query."""
    if customer.default_payment_method or customer.data.get("default_source"):
        return True
    subscriptions = Subscription.objects.filter(customer=customer, status__in=LIVE_STATUSES)
    return any(method for named in subscriptions.values_list(*PAID_WITH) for method in named)


def start_card_setup(user: Any, *, success_url: str, cancel_url: str) -> str:
    """The address of Stripe's page on which the user enters a card. Absolute URLs are needed.

    One of the few calls that a page may make (outside any transaction). Raises NoBillingAccount
    while the user has no customer, or a StripeError.
    """
    customer = customer_of(user)
    if customer is None:
        raise NoBillingAccount
    params = {
        "mode": "setup",
        "customer": customer.pk,
        "currency": conf.CURRENCY,
        "success_url": success_url,
        "cancel_url": cancel_url,
        "metadata": {"comp_user": str(user.pk), "comp_install": conf.METER_PREFIX},
    }
    answer = stripe_api.call("post", "/v1/checkout/sessions", params, retries=0, in_request=True)
    return str(answer.data["url"])


@on("checkout.session.completed")
def take_card(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """The card just entered becomes the one that invoices are paid with."""
    session = event.object_data
    customer, setup = shapes.ref(session.get("customer")), shapes.ref(session.get("setup_intent"))
    # A host, or another installation on the same account, has sessions of its own.
    is_ours = shapes.mapping(session.get("metadata")).get("comp_install") == conf.METER_PREFIX
    if session.get("mode") != "setup" or not (is_ours and customer and setup):
        return
    params = {"customer": customer, "setup_intent": setup}
    intents.intend(SET_DEFAULT, f"{SET_DEFAULT}:{session.get('id')}", params)


def _set_default(intent: Intent) -> Answer:
    path = stripe_api.object_path("setup_intents", intent.params["setup_intent"])
    method = stripe_api.call("get", path).data.get("payment_method")
    if not method:
        raise StripeRefused("The setup intent has no payment method.")
    params = {"invoice_settings": {"default_payment_method": method}}
    return intents.post(
        stripe_api.object_path("customers", intent.params["customer"]), intent, params
    )


def _follow(intent: Intent, data: dict[str, Any]) -> None:
    """A card that a subscription has kept from an invoice's page comes before the customer's
    default: it is replaced by the one that was entered later."""
    method = shapes.ref(shapes.mapping(data.get("invoice_settings")).get("default_payment_method"))
    subscriptions = Subscription.objects.filter(customer=data["id"], status__in=LIVE_STATUSES)
    for key, own in subscriptions.values_list("pk", "data__default_payment_method"):
        if own and method and shapes.ref(own) != method:
            subject = f"{SET_OWN}:{key}:{intent.params['setup_intent']}"
            intents.intend(SET_OWN, subject, {"subscription": key, "method": method})


def _set_own(intent: Intent) -> Answer:
    path = stripe_api.object_path("subscriptions", intent.params["subscription"])
    return intents.post(path, intent, {"default_payment_method": intent.params["method"]})


intents.KINDS[SET_DEFAULT] = Kind(send=_set_default, settle=_follow)
intents.KINDS[SET_OWN] = Kind(send=_set_own)
