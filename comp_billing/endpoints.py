"""Where Stripe sends its events: a webhook endpoint, and a destination for thin events.

Both point at the same view of this site and have a signing secret each, which Stripe shows once,
in the answer that creates them; it is handed to the caller and stored nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from comp_billing import intents, mirror, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import StripeRefused
from comp_billing.handlers import registrations
from comp_billing.intents import Kind
from comp_billing.models import Intent
from comp_billing.rejections import REPORTS
from comp_billing.stripe_api import Answer

# What the mirror and the handlers live on. plan.* repeats price.*, and invoice.payment_succeeded
# repeats invoice.paid.
EVENTS = [
    "billing.meter.created",
    "billing.meter.deactivated",
    "billing.meter.reactivated",
    "billing.meter.updated",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.failed",
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
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.updated",
    "invoice.voided",
    "invoice_payment.paid",
    "price.created",
    "price.deleted",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
]


def wanted_events() -> list[str]:
    """What a webhook endpoint of this site has to be told: what the library lives on, what the
    site's own handlers are for, and everything about further kinds that it mirrors."""
    return sorted({*EVENTS, *(name for name in _named_by_host() if not is_thin(name))})


def wanted_thin_events() -> list[str]:
    """The same for the destination of thin events."""
    return sorted({*REPORTS, *filter(is_thin, _named_by_host())})


def is_thin(event_type: str) -> bool:
    """Whether events of a type are only ever delivered without their object."""
    return event_type.startswith(("v1.", "v2."))


def _named_by_host() -> Iterator[str]:
    beginnings = tuple(f"{kind}." for kind in mirror.KINDS if not _is_built_in(kind))
    for known in stripe_api.event_types():
        if known.startswith(beginnings) or any(one.matches(known) for one in registrations()):
            yield known
    # Also those that are newer than the SDK.
    yield from (one.name for one in registrations() if not one.is_prefix)


def _is_built_in(kind: str) -> bool:
    return mirror.KINDS[kind].__module__.startswith("comp_billing.")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An address that Stripe sends events to. ``secret`` is empty unless it was made just now."""

    stripe_id: str
    secret: str


def set_up_endpoints(url: str) -> list[Endpoint]:
    """Make what is missing so that all events arrive at ``url``, thin ones included.

    Makes calls: for commands. Raises a StripeError; StripeRefused when Stripe cannot reach such
    an address.
    """
    return [
        _set_up("webhook_endpoint.create", url, _webhook_params(url)),
        _set_up("event_destination.create", url, _destination_params(url)),
    ]


def left_behind(url: str) -> list[tuple[str, str]]:
    """Id and address of the webhook endpoints of this installation that point elsewhere than
    ``url``: it has moved, or its address was mistyped once. Makes calls: for commands."""
    ours = {"comp_install": conf.METER_PREFIX}
    return [
        (answer.data["id"], answer.data["url"])
        for answer in stripe_api.every("/v1/webhook_endpoints", {})
        if answer.data["url"] != url
        and answer.data["status"] == "enabled"
        and ours.items() <= shapes.mapping(answer.data.get("metadata")).items()
    ]


def _set_up(kind: str, url: str, params: dict[str, Any]) -> Endpoint:
    digest = hashlib.sha256(url.encode()).hexdigest()[:24]
    intent = intents.intend(kind, intents.fresh_subject(f"{kind}:{digest}"), params)
    # One that was sent without an answer is sent again first: under its key Stripe repeats the
    # answer, and with it the secret, which looking for the endpoint would not bring back.
    found = None if intent.first_sent_at else intents.KINDS[kind].find(intent)
    if found:
        intents.settle(intent, found)
        return Endpoint(stripe_id=found.data["id"], secret="")
    answer = intents.carry_out_now(intent)
    if answer is None:
        intent.refresh_from_db()
        raise StripeRefused(intent.error_message or "Another worker is making the endpoint.")
    return Endpoint(stripe_id=answer.data["id"], secret=_secret(answer.data))


def _secret(data: dict[str, Any]) -> str:
    within = shapes.mapping(data.get("webhook_endpoint")).get("signing_secret")
    return shapes.text(data.get("secret")) or shapes.text(within)


def _webhook_params(url: str) -> dict[str, Any]:
    return {
        "url": url,
        "enabled_events": wanted_events(),
        "api_version": stripe_api.API_VERSION,
        "description": "django-comp",
        "metadata": {"comp_install": conf.METER_PREFIX},
    }


def _destination_params(url: str) -> dict[str, Any]:
    return {
        "name": "django-comp",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": wanted_thin_events(),
        "webhook_endpoint": {"url": url},
        "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
        "metadata": {"comp_install": conf.METER_PREFIX},
    }


def _find_webhook(intent: Intent) -> Answer | None:
    url = intent.params["url"]
    return stripe_api.find(
        "/v1/webhook_endpoints",
        {},
        lambda endpoint: endpoint["url"] == url and endpoint["status"] == "enabled",
    )


def _create_webhook(intent: Intent) -> Answer:
    return intents.post("/v1/webhook_endpoints", intent, intents.tagged(intent))


def _find_destination(intent: Intent) -> Answer | None:
    url = intent.params["webhook_endpoint"]["url"]
    path, asked = "/v2/core/event_destinations", {"include": ["webhook_endpoint.url"]}
    while path:
        page = stripe_api.call("get", path, asked)
        for entry in page.data["data"]:
            at = shapes.mapping(entry.get("webhook_endpoint")).get("url")
            if at == url and entry.get("event_payload") == "thin":
                return stripe_api.part_of(page, entry)
        # The address of the next page holds the parameters.
        path, asked = shapes.text(page.data.get("next_page_url")), {}
    return None


def _create_destination(intent: Intent) -> Answer:
    return intents.post("/v2/core/event_destinations", intent, intents.tagged(intent))


intents.KINDS |= {
    "webhook_endpoint.create": Kind(send=_create_webhook, find=_find_webhook, in_background=False),
    "event_destination.create": Kind(
        send=_create_destination, find=_find_destination, in_background=False
    ),
}
