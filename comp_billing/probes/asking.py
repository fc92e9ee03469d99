"""One set of calls to Stripe for each examination, and none that changes anything."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from comp_billing import clock, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import (
    StripeError,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
)
from comp_core.doctor import Finding, problem, warning

PERMISSION = re.compile(r"\brak_\w+")
FORBIDDEN = 403


class Visit:
    """What Stripe lets this key read, and what it does not."""

    def __init__(self) -> None:
        #: {what was asked for: the permission that is missing, in Stripe's word or none}
        self.forbidden: dict[str, str] = {}
        #: {what was asked for: Stripe's code}
        self.refused: dict[str, str] = {}
        #: Seconds by which Stripe's clock is ahead of ours. None: nothing has been answered.
        self.skew: float | None = None
        #: Stripe's time, Unix seconds.
        self.now = 0

    def read(self, path: str, **params: Any) -> dict[str, Any] | None:
        """An object, or a page of a list; None when Stripe does not hand it out to this key.

        Raises the StripeErrors that say that further calls would fare no better.
        """
        before = clock.now().timestamp()
        try:
            answer = stripe_api.call("get", path, params, retries=0)
        except StripeMisconfigured as exc:
            if getattr(exc.__cause__, "http_status", None) != FORBIDDEN:
                raise
            named = PERMISSION.search(str(exc))
            self.forbidden[path] = named.group() if named else ""
            return None
        except StripeRefused as exc:
            self.refused[path] = exc.code or "no reason given"
            return None
        if self.skew is None:
            between = (before + clock.now().timestamp()) / 2
            # Of a second that the header names, the middle.
            self.skew, self.now = answer.date + 0.5 - between, answer.date
        return answer.data

    def entries(self, path: str, **params: Any) -> list[dict[str, Any]] | None:
        """The objects of one page."""
        page = self.read(path, **params)
        found = page.get("data") if page is not None else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None


def unreachable(error: StripeError) -> Finding:
    """One finding for whatever keeps Stripe from answering at all."""
    if isinstance(error, StripeMisconfigured):
        what = "Stripe does not accept the key: it is mistyped, was rolled, or has expired."
        todo = 'Put a key of Stripe\'s dashboard into COMP_BILLING["SECRET_KEY"].'
        return problem(what, todo)
    if isinstance(error, StripeRateLimited):
        what = "Stripe asks this account to slow down, so that it could not be examined."
        return warning(what, "Ask again later; if it stays so, look for what calls it that often.")
    host = urlsplit(conf.API_BASE).hostname
    what = f"Stripe cannot be reached at {host}, or does not answer: nothing else was asked."
    return problem(what, f"See whether this machine may reach {host}, and status.stripe.com.")
