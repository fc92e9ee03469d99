"""Events: the account's diary, snapshot and thin, and their reading."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import endpoints, ids
from comp_billing.testing.standin.listing import page
from comp_billing.testing.standin.periods import moment
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


class Events:
    """Writes events and puts their deliveries in the queue, in the request's transaction."""

    def __init__(self, world: "StandIn") -> None:
        self._world = world
        # the request that is being carried out: events name it as their cause
        self.request: Request | None = None

    def emit(self, event_type: str, obj: Json, previous: Json | None = None) -> Json:
        """A snapshot event on an object as it is now; `previous` are the changed old values."""
        world, asked = self._world, self.request
        data: Json = {"object": world.view(obj)}
        data |= {"previous_attributes": previous} if previous is not None else {}
        event = shape(
            "event",
            id=ids.new_id("event"),
            type=event_type,
            api_version=world.settings["api_version"],
            created=world.now(),
            data=data,
            livemode=False,
            pending_webhooks=0,
            request={
                "id": asked.id if asked else None,
                "idempotency_key": asked.idempotency_key if asked else None,
            },
        )
        # absent, not null, on the wire
        event = {name: value for name, value in event.items() if value is not None}
        event["data"] = {name: value for name, value in event["data"].items() if value is not None}
        event["pending_webhooks"] = world.deliveries.queue(event)
        return world.add(event)

    def emit_thin(self, event_type: str, *, data: Json, related: Json | None) -> Json:
        """A v2 event: told by id only, its data is read from the API."""
        world = self._world
        created = moment(world.now()).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event: Json = {
            "id": ids.new_id("v2.core.event"),
            "object": "v2.core.event",
            "type": event_type,
            "created": created,
            "livemode": False,
            "context": None,
            "reason": None,
            "related_object": related,
            "data": data,
        }
        world.deliveries.queue(event)
        return world.add(event)


def list_events(world: "StandIn", asked: Request) -> Json:
    """GET /v1/events: 30 days back, newest first."""
    params = asked.params
    wanted = params.get("types") or ([params["type"]] if "type" in params else ["*"])
    undelivered = params.get("delivery_success")

    def fits(event: Json) -> bool:
        if not endpoints.matches(wanted, event["type"]):
            return False
        if undelivered is None:
            return True
        return bool(world.deliveries.succeeded(event["id"]) == undelivered)

    month = world.now() - 30 * 86400
    return page(world, "event", asked, fits=fits, bounds=[(">=", month)])


def retrieve_event(world: "StandIn", asked: Request) -> Json:
    """GET /v1/events/{id}."""
    return world.need("event", asked.args[0])


def retrieve_thin(world: "StandIn", asked: Request) -> Json:
    """GET /v2/core/events/{id}: the thin event with its data."""
    return world.need("v2.core.event", asked.args[0])


def list_thin(world: "StandIn", asked: Request) -> Json:
    """GET /v2/core/events: newest first, in the shape of v2 lists."""
    wanted = asked.params.get("types") or ["*"]
    found = world.store.where("v2.core.event")[::-1]
    return {
        "data": [event for event in found if endpoints.matches(wanted, event["type"])],
        "next_page_url": None,
        "previous_page_url": None,
    }
