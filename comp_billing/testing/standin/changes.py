"""What changed between two views of an object, as events tell it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin.errors import ApiError

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
# states of a subscription that nothing leads out of
ENDED = ("canceled", "incomplete_expired")


def previous_attributes(before: Json, after: Json) -> Json:
    """The old values of what changed, in hashes one level deeper."""
    previous: Json = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and old.get("object") != "list":
            previous[name] = {k: old.get(k) for k in old.keys() | new if old.get(k) != new.get(k)}
        else:
            previous[name] = old
    return previous


def must_live(subscription: Json) -> None:
    """Raises unless the subscription can still change."""
    if subscription["status"] in ENDED:
        raise ApiError("A canceled subscription can only update its cancellation_details.")


@contextmanager
def told(world: "StandIn", subscription: Json) -> Iterator[None]:
    """Changes to the items inside are told of by one event on the subscription."""
    before = world.view(world.need("subscription", subscription["id"]))
    yield
    after = world.need("subscription", subscription["id"])
    previous = previous_attributes(before, world.view(after))
    if previous:
        world.events.emit("customer.subscription.updated", after, previous)
