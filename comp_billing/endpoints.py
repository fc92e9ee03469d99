"""Where Stripe sends its events: a webhook endpoint, and a destination for thin events.

Each points at an address of its own and has a signing secret of its own, which Stripe shows once,
in the answer that creates it; it is handed to the caller and stored nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from comp_billing import event_types, intents, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import Intent
from comp_billing.stripe_api import Answer

WEBHOOKS = "/v1/webhook_endpoints"
DESTINATIONS = "/v2/core/event_destinations"
SHOW_ADDRESS = {"include": ["webhook_endpoint.url"]}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An address that Stripe sends events to."""

    stripe_id: str
    address: str
    #: The key of COMP_BILLING that the secret belongs to.
    setting: str
    #: Empty unless the endpoint was made just now.
    secret: str = ""
    #: Names of events that an existing endpoint was not told of, and is from now on.
    added: tuple[str, ...] = ()
    #: Why an existing endpoint's events cannot be read as they come: their API version, or
    #: "the account's default version". Fixed when an endpoint is made; empty when all is well.
    other_version: str = ""


@dataclass(frozen=True, kw_only=True)
class LeftBehind:
    """An endpoint of this installation that points elsewhere: the site has moved, or its address
    was mistyped once."""

    stripe_id: str
    address: str
    is_thin: bool


def thin_address(url: str) -> str:
    """The address of thin events beside that of the others, as ``comp_billing.urls`` has it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/thin/"))


def set_up_endpoints(url: str, *, thin_url: str = "") -> list[Endpoint]:
    """Make what is missing so that events arrive at ``url``, thin ones at ``thin_url`` (beside
    it unless given), and complete what events an existing endpoint is told of.

    Makes calls: for commands. Raises a StripeError; StripeRefused when Stripe cannot reach such
    an address.
    """
    thin_url = thin_url or thin_address(url)
    return [
        _set_up("webhook_endpoint.create", url, _webhook_params(url)),
        _set_up("event_destination.create", thin_url, _destination_params(thin_url)),
    ]


def left_behind(url: str, *, thin_url: str = "") -> list[LeftBehind]:
    """What of this installation still sends events elsewhere. Makes calls: for commands."""
    wanted = {False: url, True: thin_url or thin_address(url)}
    found = [(answer.data, False) for answer in stripe_api.every(WEBHOOKS, {})]
    found += [(answer.data, True) for answer in _destinations()]
    return [
        LeftBehind(stripe_id=data["id"], address=_address(data), is_thin=is_thin)
        for data, is_thin in found
        if _address(data) != wanted[is_thin] and _is_enabled(data) and _is_ours(data)
    ]


def _set_up(kind: str, url: str, params: dict[str, Any]) -> Endpoint:
    digest = hashlib.sha256(url.encode()).hexdigest()[:24]
    intent = intents.intend(kind, intents.fresh_subject(f"{kind}:{digest}"), params)
    setting = SETTINGS[kind]
    # One that was sent without an answer is sent again first: under its key Stripe repeats the
    # answer, and with it the secret, which looking for the endpoint would not bring back.
    found = None if intent.first_sent_at else intents.KINDS[kind].find(intent)
    if found:
        intents.settle(intent, found)
        return _completed(found.data, params["enabled_events"], setting=setting)
    answer = intents.carry_out_now(intent)
    if answer is None:
        intent.refresh_from_db()
        raise StripeRefused(intent.error_message or "Another worker is making the endpoint.")
    return Endpoint(
        stripe_id=answer.data["id"], address=url, setting=setting, secret=_secret(answer.data)
    )


def _completed(data: dict[str, Any], wanted: list[str], *, setting: str) -> Endpoint:
    """An existing endpoint, told of all the events from now on. Takes none away: others may
    have asked for them."""
    enabled = [name for name in data.get("enabled_events") or [] if isinstance(name, str)]
    lacking = event_types.missing(wanted, enabled)
    is_webhook = data.get("object") == "webhook_endpoint"
    if lacking:
        path = f"{WEBHOOKS if is_webhook else DESTINATIONS}/{quote(data['id'], safe='')}"
        stripe_api.call("post", path, {"enabled_events": sorted({*enabled, *lacking})})
    return Endpoint(
        stripe_id=data["id"],
        address=_address(data),
        setting=setting,
        added=tuple(lacking),
        other_version=_other_version(data) if is_webhook else "",
    )


def _other_version(data: dict[str, Any]) -> str:
    version = shapes.text(data.get("api_version"))
    if not version:
        return "the account's default version"
    return "" if stripe_api.speaks(version) else version


def _address(data: dict[str, Any]) -> str:
    within = shapes.mapping(data.get("webhook_endpoint")).get("url")
    return shapes.text(data.get("url")) or shapes.text(within)


def _secret(data: dict[str, Any]) -> str:
    within = shapes.mapping(data.get("webhook_endpoint")).get("signing_secret")
    return shapes.text(data.get("secret")) or shapes.text(within)


def _is_enabled(data: dict[str, Any]) -> bool:
    return data.get("status") == "enabled"


def _is_ours(data: dict[str, Any]) -> bool:
    return shapes.mapping(data.get("metadata")).get("comp_install") == conf.METER_PREFIX


def _webhook_params(url: str) -> dict[str, Any]:
    return {
        "url": url,
        "enabled_events": event_types.wanted_events(),
        "api_version": stripe_api.API_VERSION,
        "description": "django-comp",
        "metadata": {"comp_install": conf.METER_PREFIX},
    }


def _destination_params(url: str) -> dict[str, Any]:
    return {
        "name": "django-comp",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": event_types.wanted_thin_events(),
        "webhook_endpoint": {"url": url},
        "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
        "metadata": {"comp_install": conf.METER_PREFIX},
    }


def _destinations() -> Iterator[Answer]:
    """The destinations of thin events, page after page."""
    path, asked = DESTINATIONS, SHOW_ADDRESS
    while path:
        page = stripe_api.call("get", path, asked)
        for entry in page.data["data"]:
            if entry.get("event_payload") == "thin":
                yield stripe_api.part_of(page, entry)
        # The address of the next page holds the parameters.
        path, asked = shapes.text(page.data.get("next_page_url")), {}


def _find_webhook(intent: Intent) -> Answer | None:
    return stripe_api.find(WEBHOOKS, {}, _sends_to(intent.params["url"]))


def _find_destination(intent: Intent) -> Answer | None:
    fits = _sends_to(intent.params["webhook_endpoint"]["url"])
    return next((answer for answer in _destinations() if fits(answer.data)), None)


def _sends_to(url: str) -> Callable[[dict[str, Any]], bool]:
    return lambda data: _address(data) == url and _is_enabled(data)


def _create_webhook(intent: Intent) -> Answer:
    return intents.post(WEBHOOKS, intent, intents.tagged(intent))


def _create_destination(intent: Intent) -> Answer:
    return intents.post(DESTINATIONS, intent, intents.tagged(intent))


SETTINGS = {
    "webhook_endpoint.create": "WEBHOOK_SECRETS",
    "event_destination.create": "THIN_WEBHOOK_SECRETS",
}
intents.KINDS |= {
    "webhook_endpoint.create": Kind(send=_create_webhook, find=_find_webhook, in_background=False),
    "event_destination.create": Kind(
        send=_create_destination, find=_find_destination, in_background=False
    ),
}
