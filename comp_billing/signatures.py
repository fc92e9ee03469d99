"""Stripe's webhook signatures: HMAC-SHA256 over the raw bytes, ``t=…,v1=…``.

Our own check rather than the SDK's, which lets signatures dated in the future pass and fails on
headers that are not ASCII.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable

from comp_billing.exceptions import BillingError

# Stripe sends one per secret while a secret is rotated, so two.
MAX_CANDIDATES = 16
MAX_HEADER_LENGTH = 4096
MAX_TIMESTAMP_DIGITS = 12


class SignatureNotValid(BillingError):
    """The signature does not hold: check COMP_BILLING["WEBHOOK_SECRETS"], for thin events
    COMP_BILLING["THIN_WEBHOOK_SECRETS"], and the clock."""


def verify(body: bytes, header: str, *, secrets: Iterable[str], tolerance_seconds: int) -> None:
    """Raise SignatureNotValid unless one of the secrets signed these bytes around this time.

    ``tolerance_seconds`` bounds the age and the lead of the signature's timestamp alike. Empty
    secrets, with which anybody could sign, never match; nor do the letters of a setting that is a
    single text instead of a list.
    """
    timestamp, candidates = _parse(header)
    if abs(time.time() - int(timestamp)) > tolerance_seconds:
        raise SignatureNotValid("The signature's timestamp is too far from now.")
    signed = timestamp.encode() + b"." + body
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        if not isinstance(secret, str) or not secret.strip():
            continue
        expected = hmac.digest(secret.encode(), signed, "sha256").hex().encode()
        # As bytes: text that is not ASCII would make compare_digest raise.
        if any(hmac.compare_digest(expected, candidate) for candidate in candidates):
            return
    raise SignatureNotValid("No signature matches.")


def _parse(header: str) -> tuple[str, list[bytes]]:
    """The timestamp's digits, and the v1 signatures."""
    if not header.isascii() or len(header) > MAX_HEADER_LENGTH:
        raise SignatureNotValid("The header is malformed.")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    timestamps = [value for key, _, value in pairs if key == "t"]
    candidates = [value.encode() for key, _, value in pairs if key == "v1" and value]
    if len(timestamps) != 1 or not 0 < len(candidates) <= MAX_CANDIDATES:
        raise SignatureNotValid("The header is malformed.")
    if not timestamps[0].isdigit() or len(timestamps[0]) > MAX_TIMESTAMP_DIGITS:
        raise SignatureNotValid("The header is malformed.")
    return timestamps[0], candidates
