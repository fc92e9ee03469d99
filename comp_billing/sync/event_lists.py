"""Stripe's own lists of events: snapshots and thin ones, page by page, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from comp_billing import event_types, stripe_api
from comp_billing.exceptions import StripeRefused
from comp_billing.stripe_api import Answer
from comp_billing.sync.pacing import TRIES, ask

# Stripe's limit of types in one request.
TYPES_TOGETHER = 20
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EventList:
    """One of the two lists. ``kind`` names its checkpoint, a row of Sync."""

    kind: str
    path: str
    # It may take several requests: parameters of each.
    requests: tuple[Json, ...]

    def pages(self, *, gte: int | None, tries: int = TRIES) -> Iterator[Answer]:
        """What was created since, in Unix seconds; None: all there is. Makes calls."""
        since = {} if gte is None else {"created": {"gte": self._moment(gte)}}
        for request in self.requests:
            yield from self._pages({**request, **since, "limit": stripe_api.PAGE_SIZE}, tries)

    def _moment(self, seconds: int) -> int | str:
        if self.path.startswith("/v1/"):
            return seconds
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _pages(self, params: Json, tries: int) -> Iterator[Answer]:
        """Lists of the old API go on after an id, those of the new one at an address."""
        path: str = self.path
        asked: Json | None = params
        while True:
            try:
                page = ask(path, asked, tries=tries)
            except StripeRefused as exc:
                if exc.code == "resource_missing" and exc.param == "starting_after":
                    return  # the event is too old to be listed by now, and so are those after it
                raise
            yield page
            entries, following = page.data["data"], page.data.get("next_page_url")
            if following:
                path, asked = f"{self.path}?{urlsplit(following).query}", None
            elif page.data.get("has_more") and entries:
                asked = {**params, "starting_after": entries[-1]["id"]}
            else:
                return


def event_lists(*, undelivered: bool, types: Sequence[str]) -> Iterator[EventList]:
    """The lists to be read for these types of events; for none, everything. Thin events are those
    that this site has a use for, whether they were delivered or not: Stripe does not tell."""
    only: Json = {"delivery_success": False} if undelivered else {}
    snapshot: list[Json] = [{"type": name} for name in types if not event_types.is_thin(name)]
    if snapshot or not types:
        yield EventList(
            kind="event:undelivered" if undelivered else "event",
            path="/v1/events",
            requests=tuple({**only, **request} for request in snapshot or [{}]),
        )
    thin = [name for name in types if event_types.is_thin(name)]
    thin = thin if types else event_types.wanted_thin_events()
    requests = tuple(
        {"types": thin[start : start + TYPES_TOGETHER]}
        for start in range(0, len(thin), TYPES_TOGETHER)
    )
    if requests:
        yield EventList(kind="v2.core.event", path="/v2/core/events", requests=requests)
