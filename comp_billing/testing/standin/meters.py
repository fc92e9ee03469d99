"""Meters and the usage that is reported to them."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.listing import equal_to, page, slice_of
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
WINDOWS = {"hour": 3600, "day": 86400}


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/meters: an event name belongs to one meter."""
    params = asked.params
    if world.store.where("billing.meter", event_name=params["event_name"], status="active"):
        raise ApiError(
            f"An active meter already uses the event name {params['event_name']}.",
            code="resource_already_exists",
            param="event_name",
        )
    mapping = params.get("customer_mapping") or {}
    values = params.get("value_settings") or {}
    made = shape(
        "billing.meter",
        id=ids.new_id("billing.meter"),
        created=world.now(),
        customer_mapping={
            "event_payload_key": mapping.get("event_payload_key", "stripe_customer_id"),
            "type": "by_id",
        },
        default_aggregation=params["default_aggregation"],
        display_name=params["display_name"],
        event_name=params["event_name"],
        event_time_window=params.get("event_time_window"),
        livemode=False,
        status="active",
        updated=world.now(),
        value_settings={"event_payload_key": values.get("event_payload_key", "value")},
    )
    return world.add(made, "billing.meter.created")


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/meters/{id}."""
    return world.need("billing.meter", asked.args[0])


def update(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/meters/{id}: the display name only."""
    meter = world.need("billing.meter", asked.args[0])
    name = asked.params.get("display_name", meter["display_name"])
    return world.change(meter, "billing.meter.updated", display_name=name, updated=world.now())


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/meters."""
    return page(world, "billing.meter", asked, equal=equal_to(asked, "status"))


def _switch(world: "StandIn", asked: Request, status: str, event: str, since: int | None) -> Json:
    meter = world.need("billing.meter", asked.args[0])
    if meter["status"] == status:
        raise ApiError(f"The meter is already {status}.", code="resource_already_exists")
    return world.change(
        meter,
        event,
        status=status,
        updated=world.now(),
        status_transitions={"deactivated_at": since},
    )


def deactivate(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/meters/{id}/deactivate: no more events are accepted."""
    return _switch(world, asked, "inactive", "billing.meter.deactivated", world.now())


def reactivate(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/meters/{id}/reactivate."""
    return _switch(world, asked, "active", "billing.meter.reactivated", None)


# -- what was used


def used(
    world: "StandIn", meter: Json, customer: str, start: int, end: int, *, seen: int | None = None
) -> int:
    """What a customer used from `start` to before `end`, by the meter's formula.

    `seen` leaves out what was received later than that moment.
    """
    sql = (
        "SELECT value FROM usage WHERE customer = ? AND meter = ? AND timestamp >= ?"
        " AND timestamp < ? AND state = 'accepted' AND received <= ? ORDER BY timestamp, seq"
    )
    limit = seen if seen is not None else world.now()
    found = world.store.rows(sql, customer, meter["id"], start, end, limit)
    values = [int(row["value"]) for row in found]
    formula = meter["default_aggregation"]["formula"]
    if formula == "count":
        return len(values)
    if formula == "last":
        return values[-1] if values else 0
    return sum(values)


def summaries(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/meters/{id}/event_summaries: one customer's, newest first, lagging."""
    meter = world.need("billing.meter", asked.args[0])
    params = asked.params
    start, end = params["start_time"], params["end_time"]
    window = params.get("value_grouping_window")
    step = WINDOWS[window] if window else max(end - start, 60)
    for name in ("start_time", "end_time"):
        if params[name] % (WINDOWS[window] if window else 60):
            text = f"{name} must be aligned with {window or 'minute'} boundaries."
            raise ApiError(text, param=name)
    if end <= start:
        raise ApiError("end_time must be later than start_time.", param="end_time")
    world.need("customer", params["customer"], param="customer")
    seen = world.now() - world.settings["summary_lag_seconds"]
    data = []
    for begin in range(start, end, step):
        value = used(world, meter, params["customer"], begin, begin + step, seen=seen)
        if value:
            data.append(_summary(meter, params["customer"], begin, begin + step, value))
    return slice_of(data[::-1], asked)


def _summary(meter: Json, customer: str, start: int, end: int, value: int) -> Json:
    # the same window keeps its id, so that cursors hold
    suffix = f"{meter['id'][-8:]}{customer[-6:]}{start}{end}"
    return shape(
        "billing.meter_event_summary",
        id=f"mtrusg_test_{suffix}",
        end_time=end,
        aggregated_value=value,
        livemode=False,
        meter=meter["id"],
        start_time=start,
    )


def ledger(world: "StandIn") -> Json:
    """Every meter event with its state, and the accepted totals by customer and meter."""
    rows = [dict(row) for row in world.store.rows("SELECT * FROM usage ORDER BY seq")]
    totals: dict[str, dict[str, int]] = {}
    for row in rows:
        del row["body"]
        if row["state"] == "accepted":
            of_customer = totals.setdefault(row["customer"], {})
            of_customer[row["meter"]] = of_customer.get(row["meter"], 0) + row["value"]
    return {"events": rows, "totals": totals}
