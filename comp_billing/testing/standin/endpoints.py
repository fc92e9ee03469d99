"""Where events are sent: webhook endpoints (snapshots) and event destinations (thin events)."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import merged, stub
from comp_billing.testing.standin.listing import page
from comp_billing.testing.standin.periods import moment
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
LIMIT = 16


def matches(wanted: list[str], event_type: str) -> bool:
    """Whether a list of event names, with `*` and `group.*`, takes an event type."""
    return any(
        name in ("*", event_type) or (name.endswith(".*") and event_type.startswith(name[:-1]))
        for name in wanted
    )


def address(endpoint: Json) -> str:
    """Where a webhook endpoint, or an event destination, sends to."""
    return str(endpoint.get("url") or endpoint["webhook_endpoint"]["url"])


def _check_url(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ApiError(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )


def build(
    world: "StandIn", url: str, events: list[str], *, secret: str | None = None, **more: Any
) -> Json:
    """A new webhook endpoint, kept; its secret is shown by the creating call only."""
    _check_url(url)
    if len(world.store.where("webhook_endpoint")) >= LIMIT:
        raise ApiError(f"You have reached the maximum of {LIMIT} test webhook endpoints.")
    made = shape(
        "webhook_endpoint",
        id=ids.new_id("webhook_endpoint"),
        created=world.now(),
        enabled_events=events,
        livemode=False,
        status="enabled",
        url=url,
        metadata=more.pop("metadata", None) or {},
        **more,
    )
    return world.add({**made, "_secret": secret or ids.new_id("secret")})


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/webhook_endpoints."""
    params = {name: value for name, value in asked.params.items() if name != "expand"}
    if params.pop("connect", False):
        raise ApiError("Connect endpoints are not played by the stand-in.", param="connect")
    made = build(world, params.pop("url"), params.pop("enabled_events"), **params)
    return {**made, "secret": made["_secret"]}


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/webhook_endpoints/{id}."""
    return world.need("webhook_endpoint", asked.args[0])


def update(world: "StandIn", asked: Request) -> Json:
    """POST /v1/webhook_endpoints/{id}: everything but the API version."""
    endpoint = world.need("webhook_endpoint", asked.args[0])
    fields = merged(endpoint, asked.params, ["url", "enabled_events", "description", "metadata"])
    if "disabled" in asked.params:
        fields["status"] = "disabled" if asked.params["disabled"] else "enabled"
    return world.change(endpoint, **fields)


def delete(world: "StandIn", asked: Request) -> Json:
    """DELETE /v1/webhook_endpoints/{id}."""
    endpoint = world.need("webhook_endpoint", asked.args[0])
    world.store.remove("webhook_endpoint", endpoint["id"])
    return stub(endpoint)


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/webhook_endpoints."""
    return page(world, "webhook_endpoint", asked)


def build_destination(
    world: "StandIn", url: str, events: list[str], *, secret: str | None = None, **more: Any
) -> Json:
    """A new event destination for thin events, kept."""
    _check_url(url)
    stamp = moment(world.now()).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    made: Json = {
        "id": ids.new_id("v2.core.event_destination"),
        "object": "v2.core.event_destination",
        "created": stamp,
        "updated": stamp,
        "description": more.get("description", ""),
        "enabled_events": events,
        "event_payload": more.get("event_payload", "thin"),
        "events_from": ["self"],
        "livemode": False,
        "metadata": more.get("metadata") or {},
        "name": more.get("name", "stand-in"),
        "snapshot_api_version": more.get("snapshot_api_version"),
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "webhook_endpoint": {"url": url, "signing_secret": None},
        "_secret": secret or ids.new_id("secret"),
    }
    return world.add(made)


def create_destination(world: "StandIn", asked: Request) -> Json:
    """POST /v2/core/event_destinations, of type webhook_endpoint."""
    params = dict(asked.params)
    if params.get("type") != "webhook_endpoint" or "url" not in params.get("webhook_endpoint", {}):
        raise ApiError("The stand-in sends to webhook endpoints only.", param="type")
    url = params.pop("webhook_endpoint")["url"]
    made = build_destination(world, url, params.pop("enabled_events"), **params)
    shown = {**made["webhook_endpoint"], "signing_secret": made["_secret"]}
    return {**made, "webhook_endpoint": shown}


def retrieve_destination(world: "StandIn", asked: Request) -> Json:
    """GET /v2/core/event_destinations/{id}."""
    return world.need("v2.core.event_destination", asked.args[0])


def update_destination(world: "StandIn", asked: Request) -> Json:
    """POST /v2/core/event_destinations/{id}: its address keeps its secret."""
    destination = world.need("v2.core.event_destination", asked.args[0])
    if "webhook_endpoint" in asked.params:
        _check_url(asked.params["webhook_endpoint"]["url"])
    names = ["enabled_events", "name", "description", "metadata", "webhook_endpoint"]
    return world.change(destination, **merged(destination, asked.params, names))


def list_destinations(world: "StandIn", asked: Request) -> Json:
    """GET /v2/core/event_destinations."""
    found = world.store.where("v2.core.event_destination")[::-1]
    return {"data": found, "next_page_url": None, "previous_page_url": None}


def delete_destination(world: "StandIn", asked: Request) -> Json:
    """DELETE /v2/core/event_destinations/{id}."""
    destination = world.need("v2.core.event_destination", asked.args[0])
    world.store.remove("v2.core.event_destination", destination["id"])
    return stub(destination)
