"""The webhook endpoint: bytes in, a status code out."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from comp_billing.conf import conf
from comp_billing.signatures import SignatureNotValid
from comp_billing.webhooks import NotAnEvent, receive

logger = logging.getLogger(__name__)


# Stripe has no session here; the signature is what authenticates it.
@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """200 once the event is stored (duplicates and events of no interest included), 400 for what
    is not Stripe's, 413 for what is too large. Nothing is written before the signature holds."""
    limit = conf.WEBHOOK_MAX_BYTES
    if _declared_length(request) > limit:
        return HttpResponse(status=413)
    try:
        # One byte more than allowed tells a longer body, also one of undeclared length.
        body = request.read(limit + 1)
    except (UnreadablePostError, OSError):
        return HttpResponse(status=400)
    if len(body) > limit:
        return HttpResponse(status=413)
    try:
        receive(body, request.headers.get("Stripe-Signature", ""))
    except (SignatureNotValid, NotAnEvent) as exc:
        logger.warning("Webhook refused: %s", exc)
        return HttpResponse(str(exc), status=400, content_type="text/plain")
    return HttpResponse(status=200)


def _declared_length(request: HttpRequest) -> int:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0
