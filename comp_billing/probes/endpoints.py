"""Where Stripe sends events: to this site, all that it needs, in the version that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.urls import NoReverseMatch, reverse

from comp_billing import event_types, shapes
from comp_billing.conf import conf
from comp_billing.probes.words import some
from comp_billing.stripe_api import API_VERSION, speaks
from comp_core.doctor import Finding, ok, problem, warning

MOST_NAMED = 10
SET_UP = "python manage.py comp_setup_stripe --webhook-url"
Json = dict[str, Any]


def address(name: str) -> str:
    """Of one of this site's webhooks; empty when the settings do not say where the site is."""
    try:
        path = reverse(f"comp_billing:{name}")
    except NoReverseMatch:
        return ""
    base = conf.SITE_URL.rstrip("/")
    return base + path if base else ""


def webhooks(hooks: list[Json] | None) -> Iterator[Finding]:
    """The endpoint of snapshot events. None: Stripe does not show them to this key."""
    url = address("webhook")
    if not url:
        what = "It is not known where Stripe is to send events: this site's address is missing."
        yield warning(what, 'Set COMP_BILLING["SITE_URL"], and include comp_billing.urls.')
    if not url or hooks is None:
        return
    here = [hook for hook in hooks if hook.get("url") == url]
    active = [hook for hook in here if hook.get("status") == "enabled"]
    if not active:
        yield _no_webhook(url, here, hooks)
        return
    faults = [fault for hook in active for fault in _faults(hook)]
    faults += _twice(active, "webhook endpoints")
    yield from faults or [ok(f"The webhook endpoint {active[0].get('id')} sends what is needed.")]


def ours(hooks: Iterable[Json] | None) -> Json | None:
    """The endpoint that sends to this site."""
    url = address("webhook")
    active = [hook for hook in hooks or () if hook.get("status") == "enabled"]
    return next((hook for hook in active if url and hook.get("url") == url), None)


def _no_webhook(url: str, here: list[Json], hooks: list[Json]) -> Finding:
    if here:
        what = f"The webhook endpoint {here[0].get('id')} is disabled: nothing arrives here."
        todo = "Remove the cause, such as an address that does not answer, and enable it at Stripe."
        return problem(what, todo)
    others = [_shown(str(hook.get("url"))) for hook in hooks if hook.get("status") == "enabled"]
    elsewhere = f" Stripe sends to {some(others)}." if others else ""
    what = f"No webhook endpoint at Stripe sends to {_shown(url)}.{elsewhere}"
    return problem(what, f"Make it: {SET_UP} {_shown(url)}")


def _shown(url: str) -> str:
    """Without a password, or a token in the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _faults(hook: Json) -> Iterator[Finding]:
    name, version = hook.get("id"), shapes.text(hook.get("api_version"))
    if not (version and speaks(version)):
        said = f"API version {version}" if version else "the account's default API version"
        what = f"The webhook endpoint {name} sends {said}, this library reads {API_VERSION}."
        todo = "A version is fixed when an endpoint is made: make a new one, then delete this one."
        yield problem(what, todo)
    missing = event_types.missing(event_types.wanted_events(), _enabled(hook))
    if missing:
        what = f"The webhook endpoint {name} does not send {some(missing, most=MOST_NAMED)}."
        yield problem(what, f"Add them: {SET_UP} {_shown(str(hook.get('url')))}")


def sends(hook: Json, event_type: str) -> bool:
    """Whether an endpoint asks for events of a type; a star stands for all of them."""
    return not event_types.missing([event_type], _enabled(hook))


def _enabled(hook: Json) -> list[str]:
    asked = hook.get("enabled_events")
    return [name for name in asked if isinstance(name, str)] if isinstance(asked, list) else []


def _twice(active: list[Json], names: str) -> list[Finding]:
    if len(active) < 2:
        return []
    ids = some(str(hook.get("id")) for hook in active)
    what = f"{len(active)} {names} send to one address, so every event comes that often: {ids}."
    return [warning(what, "Keep the one whose secret is in the settings, delete the others.")]


def destinations(found: list[Json] | None) -> Iterator[Finding]:
    """The destination of thin events, by which Stripe tells of usage that it did not count."""
    url = address("thin_webhook")
    if not url or found is None:
        return
    here = [one for one in found if _sends_thin(one, url)]
    active = [one for one in here if one.get("status") == "enabled"]
    todo = f"{SET_UP} {_shown(address('webhook'))}"
    if not active:
        state = f"The event destination {here[0].get('id')} is disabled" if here else ""
        what = state or f"No event destination at Stripe sends thin events to {_shown(url)}"
        rest = "Usage that Stripe takes and then does not count goes unnoticed."
        yield problem(
            f"{what}. {rest}", "Enable it in Stripe's dashboard." if here else f"Make it: {todo}"
        )
        return
    faults = _twice(active, "event destinations")
    missing = event_types.missing(event_types.wanted_thin_events(), _enabled(active[0]))
    if missing:
        names = some(missing, most=MOST_NAMED)
        what = f"The event destination {active[0].get('id')} does not send {names}."
        faults.append(problem(what, f"Add them: {todo}"))
    sound = ok(f"The event destination {active[0].get('id')} sends what is needed.")
    yield from faults or [sound]


def _sends_thin(one: Json, url: str) -> bool:
    at = shapes.mapping(one.get("webhook_endpoint")).get("url")
    return at == url and one.get("event_payload") == "thin"
