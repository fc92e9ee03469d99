"""What an intent is about, in words that everybody who asks for the same finds alike."""

from __future__ import annotations

import hashlib

from django.db.models import Q

from comp_billing.models import Intent, IntentState

SUBJECT_LENGTH = 200


def fresh_subject(subject: str) -> str:
    """The subject of a creation; another one when what it made once is wanted again: that of the
    last one, which everybody who asks names alike, and until it is done too."""
    subject = fitting(subject, length=SUBJECT_LENGTH - 20)
    asked = Intent.objects.filter(Q(subject=subject) | Q(subject__startswith=f"{subject}:"))
    last = asked.order_by("-pk").first()
    if last is None:
        return subject
    return f"{subject}:{last.pk}" if last.state == IntentState.SUCCEEDED else last.subject


def fitting(subject: str, *, length: int = SUBJECT_LENGTH) -> str:
    """The subject, its end a digest if it is too long: Stripe's ids may have 255 characters."""
    if len(subject) <= length:
        return subject
    digest = hashlib.sha256(subject.encode()).hexdigest()
    return f"{subject[: length - len(digest) - 1]}:{digest}"
