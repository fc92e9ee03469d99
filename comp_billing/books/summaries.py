"""What Stripe has counted: the totals of its meters, asked for no faster than the site allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from comp_billing import stripe_api
from comp_billing.books.periods import MINUTE
from comp_billing.exceptions import StripeRefused
from comp_billing.sync import pacing

# Calls that a single difference may cost, to find the minutes that it stems from.
MOST_CALLS = 64

#: Unix seconds of whole minutes, from the first to before the second.
Window = tuple[int, int]
#: What our own records allow for a window: at least, and at most.
Expected = Callable[[Window], tuple[int, int]]


class Unasked(Exception):
    """Stripe no longer has the customer or the meter: nobody can say what was counted."""


@dataclass(frozen=True)
class Totals:
    """Stripe's totals of one customer and meter. ``tick`` is called before each request."""

    customer_id: str
    meter_id: str
    tick: Callable[[], None] = lambda: None

    def total(self, window: Window) -> int:
        """What Stripe has counted so far, which may lag. One call.

        Raises Unasked, or a StripeError.
        """
        path = stripe_api.object_path("billing/meters", self.meter_id, "event_summaries")
        start, end = window
        params = {"customer": self.customer_id, "start_time": start, "end_time": end}
        try:
            entries = list(self._entries(path, params))
        except StripeRefused as exc:
            if exc.code == "resource_missing":
                raise Unasked from exc
            raise
        # Stripe's numbers are floats, ours are whole: a fraction is somebody else's, and is seen.
        counted = sum((Decimal(str(entry["aggregated_value"])) for entry in entries), Decimal(0))
        return int(counted.to_integral_value(ROUND_CEILING))

    def _entries(self, path: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """One for the whole window; as many pages as Stripe makes of it nevertheless."""
        while True:
            page = pacing.ask(path, params, tick=self.tick).data
            yield from page["data"]
            if not page.get("has_more") or not page["data"]:
                return
            params = {**params, "starting_after": page["data"][-1]["id"]}

    def narrowed(self, window: Window, total: int, expected: Expected) -> list[Window]:
        """The minutes in which Stripe's total is none that our records allow, by halves; wider
        windows where that would take too many calls."""
        found, open_, calls = [], [(window, total)], 0
        while open_:
            (start, end), counted = open_.pop()
            least, most = expected((start, end))
            if least <= counted <= most:
                continue
            if end - start <= MINUTE or calls >= MOST_CALLS:
                found.append((start, end))
                continue
            middle = start + (end - start) // (2 * MINUTE) * MINUTE
            first = self.total((start, middle))
            calls += 1
            # The earlier half is looked at first.
            open_ += [((middle, end), counted - first), ((start, middle), first)]
        return found
