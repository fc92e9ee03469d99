"""The webhook endpoints: bytes in, a status code out."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from comp_billing.conf import conf
from comp_billing.payloads import NotAnEvent
from comp_billing.refusals import RefusalLog
from comp_billing.signatures import SignatureNotValid, verify
from comp_billing.webhooks import ingest, read_event

refusals = RefusalLog(logging.getLogger(__name__))
# More digits than any length has; int() of thousands of them is slow.
MAX_LENGTH_DIGITS = 20


# Stripe has no session here; the signature is what authenticates it. And no transaction is opened
# for those who are not Stripe, whatever ATOMIC_REQUESTS says: they cost no query.
@csrf_exempt
@transaction.non_atomic_requests
def webhook(request: HttpRequest) -> HttpResponse:
    """Where the webhook endpoint sends its snapshot events, signed with a WEBHOOK_SECRETS."""
    return _receive(request, secrets=conf.WEBHOOK_SECRETS)


@csrf_exempt
@transaction.non_atomic_requests
def thin_webhook(request: HttpRequest) -> HttpResponse:
    """Where the event destination sends its thin events, signed with a THIN_WEBHOOK_SECRETS."""
    return _receive(request, secrets=conf.THIN_WEBHOOK_SECRETS)


def _receive(request: HttpRequest, *, secrets: Iterable[str]) -> HttpResponse:
    """200 once the event is stored (duplicates and events of no interest included), 400 for what
    is not Stripe's, 413 for what is too large. Nothing is written before the signature holds.

    An event of the other address's kind is stored for what it is: delivering it again, which is
    all that Stripe could do, would change nothing.
    """
    if request.method != "POST":
        return _refused(HttpResponseNotAllowed(["POST"]), "Only POST is answered.")
    limit = conf.WEBHOOK_MAX_BYTES
    if _declared_length(request) > limit:
        return _refused(HttpResponse(status=413), "The body is too large.")
    try:
        # One byte more than allowed tells a longer body, also one of undeclared length.
        body = request.read(limit + 1)
    except (UnreadablePostError, OSError):
        return _refused(HttpResponse(status=400), "The body could not be read.")
    if len(body) > limit:
        return _refused(HttpResponse(status=413), "The body is too large.")
    # Of request.headers every header would be read.
    header = request.META.get("HTTP_STRIPE_SIGNATURE", "")
    try:
        verify(body, header, secrets=secrets, tolerance_seconds=conf.WEBHOOK_TOLERANCE_SECONDS)
        event = read_event(body)
    except (SignatureNotValid, NotAnEvent) as exc:
        return _refused(HttpResponse(status=400), str(exc))
    ingest(event)
    return HttpResponse(status=200)


def _refused(response: HttpResponse, reason: str) -> HttpResponse:
    """The answer with the reason, which is ours and holds nothing of the request."""
    response.content = reason
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    # Or Django writes a line for every one of them, which a flood of forgeries turns into a flood.
    response._has_been_logged = True  # type: ignore[attr-defined]
    refusals.note(reason)
    return response


def _declared_length(request: HttpRequest) -> int:
    """As it was declared; 0 for what is no number, whose body is what is read."""
    declared = (request.META.get("CONTENT_LENGTH") or "0").strip().lstrip("0") or "0"
    return int(declared[:MAX_LENGTH_DIGITS]) if declared.isdecimal() else 0
