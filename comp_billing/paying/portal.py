"""Stripe's customer portal: where users change how they pay, and find their invoices.

What it offers is a configuration at Stripe, made by ``comp_setup_stripe``. Subscriptions can be
neither cancelled nor changed there: their items are the models on offer, which follow the site.
"""

from __future__ import annotations

from typing import Any

from comp_billing import intents, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.customers import customer_of
from comp_billing.exceptions import NoBillingAccount, NoPortal, StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import Intent, IntentState
from comp_billing.notifications import site_link
from comp_billing.stripe_api import Answer

KIND = "portal_configuration.create"
CONFIGURATIONS = "/v1/billing_portal/configurations"
SESSIONS = "/v1/billing_portal/sessions"
#: What users may do there.
FEATURES: dict[str, dict[str, Any]] = {
    "customer_update": {"enabled": True, "allowed_updates": ["email", "address", "tax_id"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": False},
    "subscription_pause": {"enabled": False},
    "subscription_update": {"enabled": False},
}


def configuration_id() -> str:
    """Of this installation's configuration; empty before ``comp_setup_stripe`` has made it."""
    made = Intent.objects.filter(kind=KIND, subject=_subject(), state=IntentState.SUCCEEDED)
    return made.values_list("result_id", flat=True).first() or ""


def open_portal(user: Any, *, return_url: str) -> str:
    """The address of Stripe's page on which the user manages payment. An absolute URL is needed.

    One of the few calls that a page may make (outside any transaction). Raises NoBillingAccount
    while the user has no customer, NoPortal while there is no configuration (the account's default
    one may let users cancel), or a StripeError.
    """
    customer = customer_of(user)
    if customer is None:
        raise NoBillingAccount
    configuration = configuration_id()
    if not configuration:
        raise NoPortal
    params = {"customer": customer.pk, "configuration": configuration, "return_url": return_url}
    answer = stripe_api.call("post", SESSIONS, params, retries=0, in_request=True)
    return str(answer.data["url"])


def set_up() -> Intent:
    """The intent of this installation's configuration, carried out: made, or adopted when Stripe
    has it, and brought up to date. Makes calls: for commands. Raises a StripeError."""
    intent = intents.intend(KIND, _subject(), _params())
    if intent.state == IntentState.SUCCEEDED and not _is_complete(intent.result_id):
        intents.renew(intent, _params())
    if intent.state != IntentState.SUCCEEDED:
        intents.carry_out_now(intent)
        intent.refresh_from_db()
        if intent.state == IntentState.SUCCEEDED:
            _is_complete(intent.result_id)
    return intent


def _is_complete(configuration: str) -> bool:
    """Whether it is there, completed where a hand has changed it."""
    path = stripe_api.object_path("billing_portal/configurations", configuration)
    try:
        data = stripe_api.call("get", path).data
    except StripeRefused as exc:
        if exc.code != "resource_missing":
            raise
        return False
    if not data.get("active") or _differs(shapes.mapping(data.get("features"))):
        stripe_api.call("post", path, {"active": True, "features": FEATURES})
    return True


def _differs(features: dict[str, Any]) -> bool:
    return any(
        _comparable(shapes.mapping(features.get(name)).get(key)) != _comparable(value)
        for name, wanted in FEATURES.items()
        for key, value in wanted.items()
    )


def _comparable(value: Any) -> Any:
    """Stripe keeps lists of choices in an order of its own."""
    return sorted(value) if isinstance(value, list) else value


def _subject() -> str:
    return f"{KIND}:{conf.METER_PREFIX}"


def _params() -> dict[str, Any]:
    params: dict[str, Any] = {
        "name": "django-comp",
        "features": FEATURES,
        "metadata": {"comp_install": conf.METER_PREFIX},
    }
    home = site_link("comp_billing:card")
    return {**params, "default_return_url": home} if home else params


def _create(intent: Intent) -> Answer:
    return intents.post(CONFIGURATIONS, intent, intents.tagged(intent))


def _find(intent: Intent) -> Answer | None:
    """By the installation's mark: a database that was set up anew adopts what there is."""
    return stripe_api.find(CONFIGURATIONS, {"active": True}, _is_ours)


def _is_ours(data: dict[str, Any]) -> bool:
    return shapes.mapping(data.get("metadata")).get("comp_install") == conf.METER_PREFIX


intents.KINDS[KIND] = Kind(send=_create, find=_find, look_first=True)
