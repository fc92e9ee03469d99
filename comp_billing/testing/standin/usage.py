"""Meter events and their cancellation: checked at once, counted afterwards, never read back."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.periods import moment
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400
OLDEST_SECONDS = 35 * DAY
AHEAD_SECONDS = 5 * 60
DIGITS = 15
IDENTIFIER_LENGTH = 100


def locks(asked: Request) -> set[str]:
    """What a meter event locks: Stripe takes one call at a time per customer and meter.

    Told from the unchecked parameters; the customer is under its default key of the payload.
    """
    if not asked.path.endswith("/billing/meter_events"):
        return set()
    payload = asked.params.get("payload")
    customer = payload.get("stripe_customer_id") if isinstance(payload, dict) else None
    return {f"meter {asked.params.get('event_name')} {customer}"}


def _stamp(moment_: datetime) -> str:
    return moment_.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _meter_of(world: "StandIn", event_name: str) -> Json:
    found = world.store.where("billing.meter", event_name=event_name)
    active = [meter for meter in found if meter["status"] == "active"]
    if active:
        return active[0]
    if found:
        raise ApiError(f"The meter for event name {event_name} is inactive.", code="archived_meter")
    raise ApiError(
        f"No active meter found for event name {event_name}.", code="no_meter", param="event_name"
    )


def _customer_of(world: "StandIn", meter: Json, payload: Json) -> str:
    key = meter["customer_mapping"]["event_payload_key"]
    if not payload.get(key):
        raise ApiError(
            f"The payload has no customer: it needs the key {key}.",
            code="meter_event_no_customer_defined",
            param=f"payload[{key}]",
        )
    if world.find("customer", payload[key]) is None:
        raise ApiError(
            f"No such customer: '{payload[key]}'",
            code="meter_event_customer_not_found",
            param=f"payload[{key}]",
        )
    return str(payload[key])


def _value_of(meter: Json, payload: Json) -> int:
    key = meter["value_settings"]["event_payload_key"]
    if meter["default_aggregation"]["formula"] == "count" and key not in payload:
        return 1
    text = payload.get(key, "")
    # whole numbers only: whether Stripe takes decimals is not settled, so the stand-in does not
    if not re.fullmatch(r"-?\d+", text):
        raise ApiError(
            f"Invalid value: {text!r} is not a whole number.",
            code="meter_event_invalid_value",
            param=f"payload[{key}]",
        )
    if len(text.lstrip("-").lstrip("0")) > DIGITS:
        raise ApiError(
            f"The value has more than {DIGITS} significant digits.",
            code="meter_event_value_too_many_digits",
            param=f"payload[{key}]",
        )
    return int(text)


def _check_time(world: "StandIn", timestamp: int) -> None:
    if timestamp > world.now() + AHEAD_SECONDS:
        raise ApiError(
            "The timestamp is more than 5 minutes in the future.",
            code="timestamp_in_future",
            param="timestamp",
        )
    if timestamp < world.now() - OLDEST_SECONDS:
        raise ApiError(
            "The timestamp is more than 35 days in the past.",
            code="timestamp_too_far_in_past",
            param="timestamp",
        )


def _check_identifier(world: "StandIn", identifier: str) -> None:
    if not 0 < len(identifier) <= IDENTIFIER_LENGTH:
        raise ApiError("Invalid identifier: 1 to 100 characters.", param="identifier")
    sql = "SELECT 1 FROM usage WHERE identifier = ? AND received > ?"
    if world.store.rows(sql, identifier, world.now() - DAY):
        raise ApiError(
            f"An event already exists with identifier {identifier}.",
            code="duplicate_meter_event",
            param="identifier",
        )


def accept(world: "StandIn", asked: Request, params: Json, timestamp: int) -> Json:
    """A meter event checked and kept; or, by a fault, kept and rejected afterwards."""
    meter = _meter_of(world, params["event_name"])
    payload = params["payload"]
    customer = _customer_of(world, meter, payload)
    value = _value_of(meter, payload)
    _check_time(world, timestamp)
    identifier = params.get("identifier") or f"standin-{ids.letters(24)}"
    _check_identifier(world, identifier)
    fault = world.faults.take_rejection(asked.path)
    state = "rejected" if fault else "accepted"
    sql = (
        "INSERT INTO usage (identifier, meter, customer, event_name, value, timestamp, received,"
        " state, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')"
    )
    world.store.run(
        sql,
        identifier,
        meter["id"],
        customer,
        params["event_name"],
        value,
        timestamp,
        world.now(),
        state,
    )
    if fault:
        report(world, meter, identifier, fault.code)
    return shape(
        "billing.meter_event",
        created=world.now(),
        event_name=params["event_name"],
        identifier=identifier,
        livemode=False,
        payload=payload,
        timestamp=timestamp,
    )


def report(world: "StandIn", meter: Json, identifier: str, code: str) -> None:
    """The thin event by which Stripe tells of usage that it did not count."""
    start = moment(world.now() - world.now() % 60)
    message = f"Rejected: {code}."
    sample = {"error_message": message, "request": {"identifier": identifier}}
    data = {
        "developer_message_summary": "There is 1 invalid event",
        "reason": {
            "error_count": 1,
            "error_types": [{"code": code, "error_count": 1, "sample_errors": [sample]}],
        },
        "validation_start": _stamp(start),
        "validation_end": _stamp(moment(int(start.timestamp()) + 60)),
    }
    related = {
        "id": meter["id"],
        "type": "billing.meter",
        "url": f"/v1/billing/meters/{meter['id']}",
    }
    world.events.emit_thin("v1.billing.meter.error_report_triggered", data=data, related=related)


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/meter_events; the timestamp is an integer, now unless given."""
    return accept(world, asked, asked.params, asked.params.get("timestamp", world.now()))


def create_v2(world: "StandIn", asked: Request) -> Json:
    """POST /v2/billing/meter_events; the timestamp is RFC 3339."""
    text = asked.params.get("timestamp")
    try:
        given = int(datetime.fromisoformat(text).timestamp()) if text else world.now()
    except ValueError as problem:
        raise ApiError("Invalid timestamp.", param="timestamp") from problem
    made = accept(world, asked, asked.params, given)
    return {
        **made,
        "object": "v2.billing.meter_event",
        "created": _stamp(moment(made["created"])),
        "timestamp": _stamp(moment(made["timestamp"])),
    }


def adjust(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/meter_event_adjustments: one event cancelled, within 24 h of its arrival."""
    params = asked.params
    identifier = (params.get("cancel") or {}).get("identifier")
    if not identifier:
        raise ApiError(
            "Missing required param: cancel[identifier].",
            code="parameter_missing",
            param="cancel[identifier]",
        )
    sql = "SELECT * FROM usage WHERE identifier = ? AND event_name = ? AND state = 'accepted'"
    found = world.store.rows(sql, identifier, params["event_name"])
    if not found:
        text = f"No meter event with identifier {identifier} can be cancelled."
        raise ApiError(text, code="resource_missing", param="cancel[identifier]")
    if found[-1]["received"] <= world.now() - DAY:
        raise ApiError("Events can be cancelled within 24 hours only.", param="cancel[identifier]")
    world.store.run("UPDATE usage SET state = 'cancelled' WHERE seq = ?", found[-1]["seq"])
    return shape(
        "billing.meter_event_adjustment",
        cancel={"identifier": identifier},
        event_name=params["event_name"],
        livemode=False,
        status="pending",
        type="cancel",
    )
