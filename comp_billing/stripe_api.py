"""The one door to Stripe: the only module (the stand-in aside) that imports its SDK.

Answers are plain JSON with the moment at which Stripe gave them; errors are those of
``comp_billing.exceptions``. One API version is pinned for requests and webhook endpoints alike.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, get_args
from urllib.parse import quote

import stripe
from stripe.events import _event_classes as thin_events

from comp_billing import guards
from comp_billing.conf import conf
from comp_billing.exceptions import (
    KeyReused,
    NotConfigured,
    StripeError,
    StripeForbidden,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
    StripeUnavailable,
)
from comp_billing.stripe_transport import Transport, data_of

API_VERSION = "2026-10-28.endive"
# What is installed, for the system check: its types and ours were made for one API version.
SDK_VERSION, SDK_API_VERSION = stripe.VERSION, str(stripe.api_version)
CONNECT_SECONDS = 5
# After a 401 nothing is sent for this long: a wrong key must not become a storm.
BLOCKED_SECONDS = 60
PAGE_SIZE = 100
SECRETS = re.compile(r"\b(?:sk|rk|whsec|ek|pk)_[A-Za-z0-9_*]+")
ADDRESSES = re.compile(r"[^\s'\"<>(),;:]+@[^\s'\"<>(),;:]+")

# The SDK logs what it sends and receives (addresses, signing secrets) at DEBUG, and the texts of
# refusals at INFO. A site that wants this gives the logger a level of its own.
if not logging.getLogger("stripe").level:
    logging.getLogger("stripe").setLevel(logging.WARNING)
# The SDK reports the timing of earlier calls, and a machine id, unless told otherwise.
stripe.enable_telemetry = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of Stripe's. ``date``: when it was so, in Unix seconds of Stripe's clock."""

    data: dict[str, Any]
    date: int
    request_id: str
    replayed: bool

    @property
    def as_of(self) -> int:
        """When Stripe's object looked like this. A replayed answer is as old as its object."""
        if not self.replayed:
            return self.date
        told = self.data.get("updated") or self.data.get("created")
        return told if isinstance(told, int) else self.date


class _Link:
    """A client of the SDK, and until when it is not to be used."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self.client = client
        self.blocked_until = 0.0

    def check_open(self) -> None:
        if time.monotonic() < self.blocked_until:
            raise StripeMisconfigured

    def block(self) -> None:
        self.blocked_until = time.monotonic() + BLOCKED_SECONDS


def speaks(api_version: str) -> bool:
    """Whether objects in this version of the API have the shapes that are read here. What has no
    version (the events of test doubles) is taken at its word."""
    return not api_version or _major(api_version) == _major(API_VERSION)


def _major(api_version: str) -> str:
    """The name of a major version, ``endive``; the date, of versions before they had names."""
    date, _, name = api_version.partition(".")
    return name or date


_overriding: list[stripe.HTTPClient] = []
_patience: ContextVar[float | None] = ContextVar("comp_billing_patience", default=None)


@functools.cache
def event_types() -> frozenset[str]:
    """Names of all events that the installed SDK knows, thin ones included; Stripe may have more
    by now. Empty when the SDK does not tell."""
    told: Any = stripe.Event.__annotations__.get("type")
    # A Literal, or a union of one with str.
    snapshot = [name for part in (told, *get_args(told)) for name in get_args(part)]
    thin = getattr(thin_events, "_V2_EVENT_CLASS_LOOKUP", ())
    return frozenset(name for name in [*snapshot, *thin] if isinstance(name, str))


def is_configured() -> bool:
    """Whether this site has a key, that is, whether anything is ever sent to Stripe."""
    return bool(conf.SECRET_KEY)


@contextmanager
def use_http_client(http_client: stripe.HTTPClient) -> Iterator[None]:
    """Send everything, from every thread, through an SDK transport of the caller's."""
    _overriding.append(http_client)
    _new_link.cache_clear()
    try:
        yield
    finally:
        _overriding.remove(http_client)
        _new_link.cache_clear()


@contextmanager
def answered_within(seconds: float) -> Iterator[None]:
    """Wait no longer for a connection, or an answer, to a call of this block's."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


def key_in_use() -> object:
    """One and the same while key and address are: what is known of the key may be kept by it."""
    return _link()


def _link() -> _Link:
    if not conf.SECRET_KEY:
        raise NotConfigured
    transport = _overriding[-1] if _overriding else None
    return _new_link(conf.SECRET_KEY, conf.API_BASE, os.getpid(), transport, _patience.get())


# By process: connections of the parent must not be shared after a fork.
@functools.lru_cache(maxsize=4)
def _new_link(
    key: str, base: str, pid: int, transport: stripe.HTTPClient | None, patience: float | None
) -> _Link:
    timeout = (patience or CONNECT_SECONDS, patience or conf.TIMEOUT_SECONDS)
    client = transport or Transport(timeout=timeout)
    return _Link(
        stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": base, "meter_events": base},
            http_client=client,
            max_network_retries=conf.NETWORK_RETRIES,
        )
    )


def call(
    verb: str,
    path: str,
    params: dict[str, Any] | None = None,
    *,
    idempotency_key: str | None = None,
    retries: int | None = None,
    in_request: bool = False,
) -> Answer:
    """One request, e.g. ``call("post", "/v1/customers", {...}, idempotency_key=...)``.

    ``retries`` overrides how often the SDK itself repeats a failed request. ``in_request`` is for
    the few calls that a page may make. Raises CalledInTransaction, CalledInWebRequest,
    NotConfigured, or a StripeError.
    """
    guards.refuse_open_transaction()
    if not in_request:
        guards.refuse_web_request()
    link = _link()
    link.check_open()
    options: dict[str, Any] = {"idempotency_key": idempotency_key} if idempotency_key else {}
    if retries is not None:
        options["max_network_retries"] = retries
    asked_at = time.monotonic()
    try:
        response = link.client.raw_request(verb, path, **(params or {}), **options)
    except stripe.StripeError as exc:
        if isinstance(exc, stripe.AuthenticationError):
            link.block()
        raise _translated(exc, path, params or {}, seconds=time.monotonic() - asked_at) from exc
    return _answer(response, seconds=time.monotonic() - asked_at)


def find(
    path: str, params: dict[str, Any], matches: Callable[[dict[str, Any]], bool]
) -> Answer | None:
    """The first object of a list, page after page, that matches; as of its page."""
    return next((answer for answer in every(path, params) if matches(answer.data)), None)


def every(path: str, params: dict[str, Any]) -> Iterator[Answer]:
    """The objects of a list, page after page, each as of its page."""
    asked: dict[str, Any] = {**params, "limit": PAGE_SIZE}
    while True:
        page = call("get", path, asked)
        entries = page.data["data"]
        for entry in entries:
            yield part_of(page, entry)
        if not page.data.get("has_more") or not entries:
            return
        asked["starting_after"] = entries[-1]["id"]


def part_of(page: Answer, entry: dict[str, Any]) -> Answer:
    """One object of a page, as of the page."""
    return replace(page, data=entry)


def retrieve(path: str) -> Answer | None:
    """One object; None when Stripe has no such object, or had one and deleted it."""
    try:
        answer = call("get", path)
    except StripeRefused as exc:
        if exc.code == "resource_missing":
            return None
        raise
    return None if answer.data.get("deleted") else answer


def object_path(collection: str, stripe_id: str, *more: str) -> str:
    """``object_path("customers", "cus_1")`` is ``/v1/customers/cus_1``.

    An empty id would address the whole list, so it is a ValueError.
    """
    if not stripe_id:
        raise ValueError(f"An id is needed within /v1/{collection}.")
    return "/".join(["/v1", collection, quote(stripe_id, safe=""), *more])


def _answer(response: Any, *, seconds: float) -> Answer:
    """What Stripe answered, after so many seconds. It is dated when it was sent, but may have been
    read long before: what happened in between is news, and must not look older."""
    headers = {name.lower(): value for name, value in dict(response.headers).items()}
    data = data_of(response)
    if not isinstance(data, dict):
        raise StripeUnavailable("Stripe's answer was not an object.")
    return Answer(
        data=data,
        date=_unix_seconds(headers.get("date", "")) - round(seconds),
        request_id=headers.get("request-id", ""),
        replayed=headers.get("idempotent-replayed") == "true",
    )


def _unix_seconds(date: str) -> int:
    """Of an HTTP date; our own clock's time when a proxy has lost the header."""
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (TypeError, ValueError):
        return int(time.time())


def _translated(
    exc: stripe.StripeError, path: str, params: dict[str, Any], *, seconds: float
) -> StripeError:
    headers = {name.lower(): value for name, value in dict(exc.headers or {}).items()}
    status = exc.http_status or 0
    message = _without_personal_data(exc.user_message or type(exc).__name__, params)[:500]
    if isinstance(exc, stripe.AuthenticationError | stripe.PermissionError):
        return _about_the_key(exc, f"({status})", path, message)
    if isinstance(exc, stripe.RateLimitError):
        return StripeRateLimited(message, retry_after=_seconds(headers.get("retry-after")))
    # 409: another request with the same key, or on the same object, is under way.
    if isinstance(exc, stripe.APIConnectionError) or status < 400 or status == 409 or status >= 500:
        return StripeUnavailable(message, replayed=headers.get("idempotent-replayed") == "true")
    if isinstance(exc, stripe.IdempotencyError):
        return KeyReused(message, code="idempotency_error")
    return StripeRefused(
        message,
        code=exc.code or "",
        param=str(getattr(exc, "param", "") or ""),
        date=_unix_seconds(headers.get("date", "")) - round(seconds),
    )


def _about_the_key(exc: stripe.StripeError, status: str, path: str, message: str) -> StripeError:
    if isinstance(exc, stripe.PermissionError):
        # Stripe names the permission that a restricted key lacks.
        return StripeForbidden(f"Stripe does not allow this key to use {path} {status}: {message}")
    text = f'Stripe does not accept the key {status}: correct COMP_BILLING["SECRET_KEY"].'
    return StripeMisconfigured(text)


def _without_personal_data(message: str, params: dict[str, Any]) -> str:
    """Stripe repeats what it refuses: keys, and addresses (which may look like none)."""
    message = SECRETS.sub("[key]", message)
    sent = params.get("email")
    if isinstance(sent, str) and sent:
        message = message.replace(sent, "[address]")
    return ADDRESSES.sub("[address]", message)


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
