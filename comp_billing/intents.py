"""Mutating calls to Stripe: committed as intents first, carried out by the worker afterwards.

An intent is made in the transaction of the fact that calls for it, so both exist or neither. The
worker sends it under a stored idempotency key. When that key can no longer tell (Stripe forgets
keys after a day, and replays a saved failure until then), it looks for what the call would have
made before it uses another key. So nothing is lost, and nothing is made twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from comp_billing import clock, mirror, stripe_api
from comp_billing.backoff import pause_seconds
from comp_billing.conf import conf
from comp_billing.exceptions import (
    KeyReused,
    NotReady,
    StripeError,
    StripeRateLimited,
    StripeRefused,
    StripeUnavailable,
)
from comp_billing.intent_kinds import KINDS, Kind, Outcome, is_made_by, tagged
from comp_billing.intent_subjects import fitting, fresh_subject
from comp_billing.intent_table import can_intend, forget_table
from comp_billing.models import Intent, IntentState
from comp_billing.stripe_api import Answer
from comp_billing.sync import accounts
from comp_billing.sync.pacing import TokenBucket
from comp_billing.tracing import log_error
from comp_core.crashpoints import crashpoint, step

__all__ = [
    "KINDS",
    "Kind",
    "Outcome",
    "can_intend",
    "carry_out",
    "carry_out_due",
    "carry_out_now",
    "claim",
    "forget_table",
    "fresh_subject",
    "intend",
    "intend_new",
    "is_made_by",
    "pace",
    "post",
    "renew",
    "retry",
    "settle",
    "tagged",
]
logger = logging.getLogger(__name__)

# Stripe keeps idempotency keys for at least 24 hours.
KEY_LIFETIME = timedelta(hours=23)
# How long a claimed intent is left alone. The same key sent twice at once is harmless.
LEASE = timedelta(seconds=120)
# How long after the last look at Stripe it may be sent: short of the key's day with it.
LONGEST_SLEEP = timedelta(minutes=30)
# How long an intent that is not ready is left alone.
NOT_READY = timedelta(seconds=30)
BATCH = 100
ROUND_SECONDS = 10.0

#: How fast this process makes the calls of intents.
pace = TokenBucket()


def intend(kind: str, subject: str, params: dict[str, Any]) -> Intent:
    """The intent about ``subject``, made now unless it was made before. Joins the transaction."""
    intent, _ = Intent.objects.get_or_create(
        subject=fitting(subject),
        defaults={"kind": kind, "params": params, "next_attempt_at": timezone.now()},
    )
    return intent


def intend_new(kind: str, subject: str, params: dict[str, Any]) -> None:
    """Like ``intend`` in one statement, for who expects none to be there: one that is stays."""
    intent = Intent(
        kind=kind, subject=fitting(subject), params=params, next_attempt_at=timezone.now()
    )
    Intent.objects.bulk_create([intent], ignore_conflicts=True)


def retry(intent: Intent) -> None:
    """Take up a refused intent again, under another key: for an operator who removed the cause."""
    _take_up(Intent.objects.filter(pk=intent.pk, state=IntentState.FAILED))


def renew(intent: Intent, params: dict[str, Any]) -> Intent:
    """Ask once more for what is wanted again, because what came of the intent is gone or the
    refused parameters were corrected. A pending one is left as it is. Joins the transaction."""
    _take_up(Intent.objects.filter(pk=intent.pk).exclude(state=IntentState.PENDING), params=params)
    intent.refresh_from_db()
    return intent


def _take_up(settled: QuerySet[Intent], **values: Any) -> None:
    settled.update(
        state=IntentState.PENDING,
        generation=F("generation") + 1,
        attempts=0,
        first_sent_at=None,
        next_attempt_at=timezone.now(),
        result_id="",
        error_message="",
        **values,
    )


def post(path: str, intent: Intent, params: dict[str, Any]) -> Answer:
    """The intent's call, under its key."""
    return stripe_api.call("post", path, params, idempotency_key=intent.idempotency_key)


def carry_out_due(*, kinds: Iterable[str] | None = None, limit: int = BATCH) -> int:
    """Carry out intents that are due, oldest first, for some seconds; answers how many were
    settled.

    Ends early when Stripe is down, busy or closed to us, or the key is another account's: the rest
    is as due in the next round. When Stripe says how long it is busy, nothing is sent until then.
    """
    if not stripe_api.is_configured() or pace.is_resting():
        return 0
    settled, ends = 0, time.monotonic() + ROUND_SECONDS
    due = list(_due(kinds)[:limit])
    try:
        if due:
            # What fails now is as due in the next round.
            accounts.check(tries=1)
        for intent in due:
            if time.monotonic() > ends:
                break
            settled += _carry_out_if_ready(intent)
    except StripeError as exc:
        if isinstance(exc, StripeRateLimited):
            pace.rest(exc.retry_after or 0)
        logger.warning("Intents wait: %s", exc)
    return settled


def _carry_out_if_ready(intent: Intent) -> bool:
    if not KINDS[intent.kind].ready(intent):
        _leave(intent)
        return False
    claimed = claim(intent)
    return bool(claimed and carry_out(claimed).is_settled)


def _leave(intent: Intent) -> None:
    """What is not ready, for a while."""
    due = timezone.now() + NOT_READY
    Intent.objects.filter(pk=intent.pk, attempts=intent.attempts).update(next_attempt_at=due)


def _due(kinds: Iterable[str] | None) -> QuerySet[Intent]:
    is_due = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=timezone.now())
    # Also leaves out kinds that nobody here knows, say of an app taken out of the site.
    ours = {name for name, kind in KINDS.items() if kind.in_background}
    chosen = ours if kinds is None else ours.intersection(kinds)
    due = Intent.objects.filter(is_due, state=IntentState.PENDING, kind__in=chosen)
    return due.order_by("next_attempt_at", "pk")


def claim(intent: Intent) -> Intent | None:
    """The intent, ours for a while; None when another worker was faster. Commits before the call,
    so that a crash during it leaves a trace."""
    now = clock.now()
    crashpoint("intent_claim:begin")
    claimed = Intent.objects.filter(
        pk=intent.pk, state=IntentState.PENDING, attempts=intent.attempts
    ).update(
        attempts=F("attempts") + 1,
        next_attempt_at=timezone.now() + LEASE,
        first_sent_at=Coalesce("first_sent_at", now),
    )
    crashpoint("intent_claim:committed")
    return Intent.objects.get(pk=intent.pk) if claimed else None


def carry_out(intent: Intent) -> Outcome:
    """Make the call of a claimed intent and write down how it went.

    Raises StripeError (the intent stays pending) when the next call would fare no better.
    """
    kind = KINDS[intent.kind]
    try:
        answer = _ask(kind, intent)
        settle(intent, answer)
    except StripeRefused as exc:
        _refuse(kind, intent, exc)
        return Outcome(is_settled=True)
    except StripeError as exc:
        _postpone(intent, str(exc), exc)
        raise
    except NotReady:
        _leave(intent)
        return Outcome(is_settled=False)
    except Exception as exc:
        # One broken intent must not hold up the others.
        log_error(logger, "Intent %s failed", intent.pk, exc=exc)
        _postpone(intent, f"Unexpected {type(exc).__name__}; see the log.", None)
        return Outcome(is_settled=False)
    return Outcome(is_settled=True, answer=answer)


def carry_out_now(intent: Intent) -> Answer | None:
    """For commands: an intent carried out at once, though it was refused before or waits.

    None when it was refused again, failed, or is settled already. Raises StripeError.
    """
    accounts.check(tries=1)
    retry(intent)
    intent.refresh_from_db()
    claimed = claim(intent)
    return carry_out(claimed).answer if claimed else None


def _ask(kind: Kind, intent: Intent) -> Answer:
    now = clock.now()
    is_stale = now - (intent.first_sent_at or now) > KEY_LIFETIME
    if kind.look_first or is_stale:
        if found := _find(kind, intent):
            return found
        if is_stale:
            _renew_key(intent)
    try:
        return _send(kind, intent, now)
    except KeyReused:
        pass
    except StripeUnavailable as exc:
        if not exc.replayed:
            raise
    # Under this key there is only a saved failure to be had; what it was about may exist.
    if found := _find(kind, intent):
        return found
    _renew_key(intent)
    return _send(kind, intent, now)


def _send(kind: Kind, intent: Intent, since: datetime) -> Answer:
    """What was found out since a moment must still be true: another worker may have made by now
    what was not there then, under a key that Stripe has forgotten."""
    pace.take(per_second=conf.CALLS_PER_SECOND)
    if clock.now() - since > LONGEST_SLEEP:
        raise StripeUnavailable("This process has slept before the call; it is made anew.")
    try:
        answer = kind.send(intent)
    except StripeRefused:
        # What another worker has made since may be why.
        if found := _find(kind, intent):
            return found
        raise
    crashpoint("intent:answered")
    return answer


def _find(kind: Kind, intent: Intent) -> Answer | None:
    pace.take(per_second=conf.CALLS_PER_SECOND)
    return kind.find(intent)


def _renew_key(intent: Intent) -> None:
    """Commit the next generation before it is used; two workers arrive at the same one."""
    crashpoint("intent_key:begin")
    Intent.objects.filter(pk=intent.pk, generation=intent.generation).update(
        generation=F("generation") + 1, first_sent_at=clock.now()
    )
    crashpoint("intent_key:committed")
    intent.refresh_from_db()


def settle(intent: Intent, answer: Answer) -> None:
    """Mirror the answer, write what follows from it and mark the intent done, all or nothing."""
    with step("intent_settle"):
        mirror.upsert(
            [answer.data],
            as_of=answer.as_of,
            rank=mirror.Rank.LIST,
            api_version=stripe_api.API_VERSION,
        )
        kind = KINDS[intent.kind]
        Intent.objects.filter(pk=intent.pk, state=IntentState.PENDING).update(
            state=IntentState.SUCCEEDED,
            params={key: intent.params[key] for key in intent.params if key not in kind.personal},
            result_id=answer.data["id"],
            next_attempt_at=None,
            error_message="",
        )
        # Last, so that what it looks at does not wait for this intent.
        kind.settle(intent, answer.data)


def _refuse(kind: Kind, intent: Intent, error: StripeRefused) -> None:
    logger.error("Stripe refused %s (intent %s): %s", intent.kind, intent.pk, error.code)
    with step("intent_refuse"):
        Intent.objects.filter(pk=intent.pk, state=IntentState.PENDING).update(
            state=IntentState.FAILED, next_attempt_at=None, error_message=str(error)
        )
        kind.refused(intent, error)


def _postpone(intent: Intent, message: str, error: StripeError | None) -> None:
    due = timezone.now() + timedelta(seconds=pause_seconds(intent.attempts, error=error))
    crashpoint("intent_postpone:begin")
    pending = Intent.objects.filter(pk=intent.pk, state=IntentState.PENDING)
    pending.update(next_attempt_at=due, error_message=message)
    crashpoint("intent_postpone:committed")
