"""Objects and pages of objects as Stripe has them now, with nothing cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from comp_billing import shapes, stripe_api
from comp_billing.exceptions import StripeRefused
from comp_billing.models import StripeObject
from comp_billing.stripe_api import Answer
from comp_billing.sync.pacing import ask


def _nothing() -> None:
    """When nobody is to be told that it goes on."""


def read_object(model: type[StripeObject], stripe_id: str) -> Answer:
    """One object, its lists complete; without data when Stripe knows no such object.

    One that Stripe still knows to have been deleted is ``{"id", "object", "deleted": True}``.
    """
    try:
        answer = ask(stripe_api.object_path(model.collection, stripe_id))
    except StripeRefused as exc:
        if exc.code == "resource_missing":
            return Answer(data={}, date=exc.date, request_id="", replayed=False)
        raise
    return replace(answer, data=completed({**answer.data, "object": model.kind}))


def read_page(
    model: type[StripeObject],
    *,
    part: int = 0,
    after: str = "",
    created_gte: int | None = None,
    tick: Callable[[], None] = _nothing,
) -> Answer:
    """A page of one of a kind's lists, newest first, of up to a hundred objects after the one
    named; each object's lists complete. ``tick`` is called before each of maybe many requests."""
    params: dict[str, Any] = {**model.list_params[part], "limit": stripe_api.PAGE_SIZE}
    if after:
        params["starting_after"] = after
    if created_gte is not None:
        params["created"] = {"gte": created_gte}
    page = ask(f"/v1/{model.collection}", params, tick=tick)
    data = [_completed_if_it_exists(entry, tick) for entry in page.data["data"]]
    return replace(page, data={**page.data, "data": data})


def completed(data: dict[str, Any], *, tick: Callable[[], None] = _nothing) -> dict[str, Any]:
    """The object with the lists embedded in it read to their ends: Stripe embeds ten entries."""
    for name, path in shapes.truncated_lists(data).items():
        entries = _whole_list(path, tick)
        data = {**data, name: {**data[name], "data": entries, "has_more": False}}
    return data


def _completed_if_it_exists(data: dict[str, Any], tick: Callable[[], None]) -> dict[str, Any]:
    """One that was deleted since its page was answered is left cut off, and so due to be fetched:
    it must not end the reading of all the others."""
    try:
        return completed(data, tick=tick)
    except StripeRefused as exc:
        if exc.code != "resource_missing":
            raise
        return data


def _whole_list(path: str, tick: Callable[[], None]) -> list[dict[str, Any]]:
    parts = urlsplit(path)
    params: dict[str, Any] = {**dict(parse_qsl(parts.query)), "limit": stripe_api.PAGE_SIZE}
    found: list[dict[str, Any]] = []
    while True:
        page = ask(parts.path, params, tick=tick)
        found += page.data["data"]
        if not page.data.get("has_more") or not page.data["data"]:
            return found
        params["starting_after"] = page.data["data"][-1]["id"]
