"""List pages: cursors, limits, filters, as every v1 list has them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import listed

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
LARGEST = 100


def limit_of(params: Json) -> int:
    """How many a page may hold, 10 unless told; raises for less than 1 or more than 100."""
    limit = int(params.get("limit", 10))
    if not 1 <= limit <= LARGEST:
        raise ApiError(
            f"Invalid limit: {limit}. It must be between 1 and {LARGEST}.",
            code="parameter_invalid_integer",
            param="limit",
        )
    return limit


def created_bounds(params: Json) -> list[tuple[str, int]]:
    """The `created` filter as comparisons."""
    created = params.get("created")
    if created is None:
        return []
    if isinstance(created, int):
        return [("=", created)]
    return [(OPERATORS[name], value) for name, value in created.items()]


def equal_to(asked: Request, *names: str) -> Json:
    """Those of the parameters that filter by the field of the same name."""
    return {name: asked.params[name] for name in names if name in asked.params}


def page(
    world: "StandIn",
    kind: str,
    asked: Request,
    *,
    equal: Json | None = None,
    bounds: list[tuple[str, int]] | None = None,
    fits: Callable[[Json], bool] | None = None,
) -> Json:
    """One page of a kind, newest first; `fits` is a further filter in Python."""
    params = asked.params
    limit = limit_of(params)
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise ApiError("You cannot use both starting_after and ending_before.")
    try:
        found = world.store.page(
            kind,
            equal=equal or {},
            bounds=created_bounds(params) + (bounds or []),
            limit=limit + 1 if fits is None else -1,
            after=after,
            before=before,
        )
    except KeyError as problem:
        name = "starting_after" if after else "ending_before"
        text = f"No such {kind}: '{after or before}'"
        raise ApiError(text, code="resource_missing", param=name) from problem
    rows = found if fits is None else [obj for obj in found if fits(obj)]
    data = rows[:limit] if not before else rows[-limit:]
    return listed(data, asked.path, has_more=len(rows) > limit)


def slice_of(objects: list[Json], asked: Request) -> Json:
    """One page of objects that are at hand in their order."""
    limit = limit_of(asked.params)
    start = 0
    if after := asked.params.get("starting_after"):
        places = [index for index, obj in enumerate(objects) if obj["id"] == after]
        if not places:
            text = f"No such object: '{after}'"
            raise ApiError(text, code="resource_missing", param="starting_after")
        start = places[0] + 1
    rest = objects[start:]
    return listed(rest[:limit], asked.path, has_more=len(rest) > limit)
