"""What can go wrong on the way to Stripe and back, played on command."""

import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from comp_billing.testing.standin.errors import ApiError

KINDS = {
    "refuse": "the connection is refused: nothing is carried out",
    "delay": "the answer comes `seconds` later; the idempotency key is in use meanwhile",
    "429": "too many requests; `retry_after` seconds are told if given",
    "500_before": "500 before anything is carried out, not saved under the key",
    "500_saved": "carried out, but answered 500, and that answer is saved and replayed",
    "drop_after": "carried out and saved, then the connection breaks before the answer",
    "401": "the key is not accepted",
    "403": "the key is restricted, and lacks a permission for this",
    "reject_usage": "a meter event is accepted, then rejected asynchronously with `code`",
}


class Dropped(ConnectionError):
    """The connection breaks without an answer."""


@dataclass
class Fault:
    """One rule: what to play, on which requests, and how often."""

    kind: str
    verb: str = "*"
    path: str = "*"
    times: int = 1
    skip: int = 0
    seconds: float = 0
    retry_after: int | None = None
    code: str = "meter_event_customer_not_found"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"No fault {self.kind!r}: there are {', '.join(KINDS)}.")

    def fits(self, verb: str, path: str) -> bool:
        """Whether it is meant for this request; `path` may hold `*`."""
        return fnmatchcase(verb, self.verb.upper()) and fnmatchcase(path, self.path)


@dataclass
class Played:
    """The faults of one request."""

    faults: list[Fault]

    def _first(self, kind: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.kind == kind), None)

    def before(self) -> None:
        """What happens before the request is looked at."""
        if self._first("refuse"):
            raise Dropped
        if self._first("401"):
            raise ApiError("Invalid API Key provided: sk_test_****", status=401)
        if self._first("403"):
            raise ApiError(
                "The provided key 'rk_test_********' does not have the required permissions for"
                " this endpoint. Having the 'rak_standin_write' permission would allow this"
                " request to continue.",
                status=403,
                code="more_permissions_required",
            )
        if limited := self._first("429"):
            after = limited.retry_after
            headers = {"Retry-After": str(after)} if after is not None else {}
            raise ApiError(
                "Request rate limit exceeded.", status=429, code="rate_limit", headers=headers
            )
        if self._first("500_before"):
            raise _broken()

    def during(self) -> None:
        """What happens while the key is in use."""
        if slow := self._first("delay"):
            time.sleep(slow.seconds)

    @property
    def saved_error(self) -> ApiError | None:
        """The error to answer with although the work was done."""
        return _broken() if self._first("500_saved") else None

    @property
    def drops_answer(self) -> bool:
        """Whether the connection breaks after the work was done."""
        return self._first("drop_after") is not None


def _broken() -> ApiError:
    return ApiError("An unknown error occurred", status=500, kind="api_error")


class Faults:
    """The rules in force, used up as requests come."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, kind: str, **options: Any) -> Fault:
        """A rule put in force; `kind` and options as in `Fault`."""
        with self._lock:
            self._rules.append(Fault(kind, **options))
            return self._rules[-1]

    def clear(self) -> None:
        """No rule any more."""
        with self._lock:
            self._rules.clear()

    def take(self, verb: str, path: str) -> Played:
        """The rules that this request uses up; those on usage wait for a meter event."""
        return Played(self._take(verb, path, usage=False))

    def take_rejection(self, path: str) -> Fault | None:
        """The rule, if any, by which an accepted meter event is rejected afterwards."""
        return next(iter(self._take("POST", path, usage=True)), None)

    def _take(self, verb: str, path: str, *, usage: bool) -> list[Fault]:
        played = []
        with self._lock:
            for rule in self._rules:
                if (rule.kind == "reject_usage") == usage and rule.fits(verb, path):
                    if rule.skip > 0:
                        rule.skip -= 1
                    elif rule.times > 0:
                        rule.times -= 1
                        played.append(rule)
            self._rules = [rule for rule in self._rules if rule.times > 0]
        return played
