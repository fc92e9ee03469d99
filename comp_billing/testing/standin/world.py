"""The stand-in itself: a Stripe account in test mode that answers requests and keeps time."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from comp_billing.testing.standin import (
    contract,
    cycle,
    endpoints,
    expansion,
    ids,
    meters,
    request,
    routes,
    usage,
)
from comp_billing.testing.standin.changes import previous_attributes
from comp_billing.testing.standin.clock import Clock
from comp_billing.testing.standin.errors import ApiError, missing, unauthorized
from comp_billing.testing.standin.events import Events
from comp_billing.testing.standin.faults import Dropped, Faults
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.settings import Settings
from comp_billing.testing.standin.store import Store
from comp_billing.testing.standin.webhooks import Deliveries, Handler

Json = dict[str, Any]
DAY = 24 * 3600


@dataclass
class Reply:
    """What goes back: status, headers and the body's text."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


class StandIn:
    """One account: its objects, clock, events, webhook deliveries and the faults to play.

    `state` is a file that survives restarts, or `:memory:`. Every method may be called from any
    thread; requests are worked through one at a time.
    """

    def __init__(self, state: str = ":memory:", *, base_url: str = "http://stripe.test") -> None:
        self.base_url = base_url
        self.lock = threading.RLock()
        self.store = Store(state)
        self.clock = Clock(self.store, self._perform)
        self.settings = Settings(self.store)
        self.events = Events(self)
        self.deliveries = Deliveries(self)
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        #: Requests that the SDK's own types do not allow, whatever became of them.
        self.unfit: list[str] = []
        self._busy: set[str] = set()

    # -- time

    def now(self) -> int:
        """The account's time, seconds since the Unix epoch."""
        return self.clock.now()

    def advance(self, *, seconds: int = 0, months: int = 0, to: int | None = None) -> int:
        """The clock moved forward with everything that falls due; returns the new time."""
        with self.lock:
            self.clock.advance(seconds=seconds, months=months, to=to)
            return self.now()

    def _perform(self, action: str, target: str) -> None:
        cycle.perform(self, action, target)

    # -- webhooks

    def add_webhook(
        self,
        url: str,
        *,
        secret: str | None = None,
        thin_url: str | None = None,
        thin_secret: str | None = None,
    ) -> str:
        """Every event sent to an address from now on; its signing secret.

        Thin events go to an address and under a secret of their own where these are given. An
        address that is known keeps its secret.
        """
        with self.lock, self.store.transaction():
            for known in self.store.where("webhook_endpoint", url=url):
                return str(known["_secret"])
            made = endpoints.build(self, url, ["*"], secret=secret)
            thin_secret = thin_secret or str(made["_secret"])
            endpoints.build_destination(self, thin_url or url, ["*"], secret=thin_secret)
            return str(made["_secret"])

    def deliver(self, handler: Handler, *, everything: bool = False, to: str | None = None) -> int:
        """Due deliveries handed to `handler(body, headers)`; how many it took.

        The handler answers the HTTP status, or None for success; what it refuses, or raises
        OSError on, waits for its retry. `everything` hands over what waits, too; `to` hands over
        what is addressed there only.
        """
        return self.deliveries.flush(handler, everything=everything, to=to)

    # -- objects

    def find(self, kind: str, object_id: str) -> Json | None:
        """An object that exists and is not deleted, or None."""
        found = self.store.get(kind, object_id)
        return None if found is None or found.get("deleted") else found

    def need(self, kind: str, object_id: str, *, param: str = "id") -> Json:
        """An object that must exist; raises `resource_missing`, 400 if a parameter named it."""
        if found := self.find(kind, object_id):
            return found
        raise missing(kind, object_id, param=param, status=404 if param == "id" else 400)

    def add(self, obj: Json, event: str | None = None) -> Json:
        """A new object kept, and told of by an event."""
        self.store.put(obj)
        if event:
            self.events.emit(event, obj)
        return obj

    def change(self, obj: Json, event: str | None = None, **fields: Any) -> Json:
        """An object with some fields changed, kept; told of only if anything differs."""
        before = self.view(obj)
        after = {**obj, **fields}
        self.store.put(after)
        previous = previous_attributes(before, self.view(after))
        if event and previous:
            self.events.emit(event, after, previous)
        return after

    def view(self, obj: Json) -> Json:
        """An object as Stripe shows it: nested lists filled in, private fields left out."""
        return expansion.view(self, obj)

    def ledger(self) -> Json:
        """`events`: every meter event; `totals`: accepted quantity by customer and meter."""
        with self.lock:
            return meters.ledger(self)

    # -- requests

    def handle(self, verb: str, url: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        """One HTTP request answered; raises `Dropped` where a fault cuts the connection."""
        request_id = ids.new_id("request")
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            asked = request.read(verb, url, lower, body, request_id)
            return self._answer(asked)
        except ApiError as problem:
            return self._reply(
                problem.status, problem.body(request_id), request_id, problem.headers
            )

    def _reply(
        self, status: int, body: Json | str, request_id: str, headers: dict[str, str] | None = None
    ) -> Reply:
        text = body if isinstance(body, str) else json.dumps(body)
        # the Date of the account's clock: it is what readers stamp lists with
        date = formatdate(self.now(), usegmt=True)
        common = {"Content-Type": "application/json", "Request-Id": request_id, "Date": date}
        return Reply(status, text, {**common, **(headers or {})})

    def _answer(self, asked: Request) -> Reply:
        with self.lock:
            self.clock.catch_up()
            handler, pattern, asked.args = routes.find(asked)
            self.calls[f"{asked.verb} {pattern}"] += 1
            fault = self.faults.take(asked.verb, asked.path)
        fault.before()
        authenticate(asked)
        with self._alone(asked):
            fault.during()
            with self.lock, self.store.transaction():
                reply = self._replayed(asked) or self._executed(asked, handler, fault.saved_error)
        self.deliveries.wake()
        if fault.drops_answer:
            raise Dropped
        return reply

    @contextmanager
    def _alone(self, asked: Request) -> Iterator[None]:
        """The request's idempotency key, and its customer's meter, in use by nobody else."""
        taken = {f"key {asked.idempotency_key}"} if asked.idempotency_key else set()
        taken |= usage.locks(asked)
        with self.lock:
            if busy := taken & self._busy:
                raise busy_error(busy)
            self._busy |= taken
        try:
            yield
        finally:
            with self.lock:
                self._busy -= taken

    def _replayed(self, asked: Request) -> Reply | None:
        key = asked.idempotency_key
        self.store.run("DELETE FROM reply WHERE at <= ?", self.now() - DAY)
        found = self.store.rows("SELECT * FROM reply WHERE key = ?", key) if key else []
        if not found:
            return None
        if found[0]["fingerprint"] != asked.fingerprint:
            raise ApiError(
                "Keys for idempotent requests can only be used with the same parameters they were"
                f" first used with. Try using a key other than '{key}' if you meant to execute a"
                " different request.",
                kind="idempotency_error",
            )
        headers = {"Idempotent-Replayed": "true", "Idempotency-Key": key or ""}
        return self._reply(found[0]["status"], found[0]["body"], asked.id, headers)

    def _executed(self, asked: Request, handler: routes.Handler, saved: ApiError | None) -> Reply:
        """The request carried out; its answer kept under its key, errors of the bank included."""
        route = contract.find(asked.verb, asked.path)
        if route:
            form = not (asked.v2 and asked.verb == "POST")
            try:
                asked.params = contract.check(route, asked.params, form=form)
            except ApiError as problem:
                self.unfit.append(f"{asked.verb} {asked.path}: {problem}")
                raise
        self.events.request = asked
        try:
            result, status = self._result(asked, handler), 200
        except ApiError as problem:
            if problem.status != 402:
                raise
            result, status = problem.body(asked.id), problem.status
        finally:
            self.events.request = None
        if saved:
            result, status = saved.body(asked.id), saved.status
        key = asked.idempotency_key
        reply = self._reply(status, result, asked.id, {"Idempotency-Key": key} if key else None)
        if key and not (asked.v2 and status >= 400):
            sql = "INSERT INTO reply (key, at, fingerprint, status, body) VALUES (?, ?, ?, ?, ?)"
            self.store.run(sql, key, self.now(), asked.fingerprint, status, reply.body)
        return reply

    def _result(self, asked: Request, handler: routes.Handler) -> Json:
        shown = expansion.show(self, handler(self, asked))
        return expansion.expand(self, shown, asked.params.get("expand", []))

    def reset(self) -> None:
        """An empty account again; the clock back at the wall clock, faults and counts forgotten."""
        with self.lock:
            self.store.clear()
            self.calls.clear()
            self.faults.clear()

    def close(self) -> None:
        """Deliveries stopped and the state closed."""
        self.deliveries.stop()
        with self.lock:
            self.store.close()


def busy_error(busy: set[str]) -> ApiError:
    """What Stripe says to a second request at the same time."""
    if any(name.startswith("key ") for name in busy):
        text = "There is currently another in-progress request using this Idempotency Key."
        code = "idempotency_key_in_use"
        return ApiError(text, status=409, kind="idempotency_error", code=code)
    text = "This object cannot be accessed right now because another request is using it."
    return ApiError(text, status=429, code="lock_timeout")


def authenticate(asked: Request) -> None:
    """Any secret test key is good; raises 401 for none, a malformed or a live one."""
    key = asked.api_key
    if not key:
        raise unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization"
            " header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if key.startswith(("sk_live_", "rk_live_")):
        raise unauthorized("This is a stand-in for Stripe in test mode: it refuses live keys.")
    if not key.startswith(("sk_test_", "rk_test_")):
        hidden = key[:3] + "*" * 8 + key[-4:] if len(key) > 12 else "*" * len(key)
        raise unauthorized(f"Invalid API Key provided: {hidden}")
