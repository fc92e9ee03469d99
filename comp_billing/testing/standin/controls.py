"""The control API under `/_standin/`: what a test or the demo may do that Stripe's users cannot."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from comp_billing.testing.standin.periods import moment
from comp_billing.testing.standin.world import Reply, StandIn

Json = dict[str, Any]


class ControlError(ValueError):
    """A control call that makes no sense."""


def _clock(world: StandIn, body: Json) -> Json:
    now = world.now()
    return {"now": now, "iso": moment(now).isoformat(), "offset": world.clock.offset}


def _advance(world: StandIn, body: Json) -> Json:
    """`seconds`, `months` (calendar months) or `to` (Unix time); answers when all is worked off."""
    world.advance(**body)
    return _clock(world, {})


def _ledger(world: StandIn, body: Json) -> Json:
    return world.ledger()


def _calls(world: StandIn, body: Json) -> Json:
    return {"total": sum(world.calls.values()), "calls": dict(world.calls)}


def _faults(world: StandIn, body: Json) -> Json:
    """A fault put in force; `{"clear": true}` takes all back."""
    if body.pop("clear", False):
        world.faults.clear()
        return {}
    return asdict(world.faults.add(**body))


def _deliver(world: StandIn, body: Json) -> Json:
    """Due deliveries sent; `{"all": true}` sends those that wait, too."""
    delivered = world.deliveries.flush(everything=bool(body.get("all")))
    return {"delivered": delivered, "pending": world.deliveries.pending()}


def _manner(world: StandIn, body: Json) -> Json:
    """How deliveries misbehave: `copies`, `shuffle`, `late_seconds`, `api_version`."""
    for name, value in body.items():
        if not hasattr(world.deliveries.manner, name):
            raise ControlError(f"No manner of delivery {name!r}.")
        setattr(world.deliveries.manner, name, value)
    return asdict(world.deliveries.manner)


def _settings(world: StandIn, body: Json) -> Json:
    """Settings read, or set from the body."""
    with world.lock:
        for name, value in body.items():
            world.settings[name] = value
        return world.settings.all()


def _webhook(world: StandIn, body: Json) -> Json:
    """An address for events; `thin_url` and `thin_secret` where thin events have their own."""
    thin = {name: body.get(name) for name in ("thin_url", "thin_secret")}
    secret = world.add_webhook(body["url"], secret=body.get("secret"), **thin)
    return {"url": body["url"], "secret": secret}


def _reset(world: StandIn, body: Json) -> Json:
    world.reset()
    return {}


CONTROLS: dict[tuple[str, str], Callable[[StandIn, Json], Json]] = {
    ("GET", "clock"): _clock,
    ("POST", "clock/advance"): _advance,
    ("GET", "ledger"): _ledger,
    ("GET", "calls"): _calls,
    ("POST", "faults"): _faults,
    ("POST", "deliver"): _deliver,
    ("POST", "deliveries"): _manner,
    ("GET", "settings"): _settings,
    ("POST", "settings"): _settings,
    ("POST", "webhooks"): _webhook,
    ("POST", "reset"): _reset,
}


def answer(world: StandIn, verb: str, path: str, body: bytes) -> Reply:
    """One control call, JSON in and out."""
    control = CONTROLS.get((verb, path.partition("?")[0]))
    if control is None:
        return _json(404, {"error": f"No control {verb} {path}."})
    try:
        return _json(200, control(world, json.loads(body or b"{}")))
    except (ValueError, TypeError, KeyError) as problem:
        return _json(400, {"error": f"{type(problem).__name__}: {problem}"})


def _json(status: int, content: Json) -> Reply:
    return Reply(status, json.dumps(content), {"Content-Type": "application/json"})
